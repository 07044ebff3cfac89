//! One 512-byte header block: its checksum and its fields, not yet interpreted.
//!
//! Source of the layout: POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU tar's `tar.h`; star's `star(5)`.

use super::number::numeric;

/// Bytes of a block: headers are one, bodies are padded to whole ones.
pub(super) const BLOCK: usize = 512;

/// A header's bytes.
pub(super) type Block = [u8; BLOCK];

/// What a block in a header's place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Header,
    Zeros,
    Garbage,
}

/// Which of the historical layouts the fields past the link name follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// What stands in a header's place. Both checksums are accepted: the standard's of unsigned bytes, and that of signed
/// bytes of old Sun tars.
pub(super) fn look_at(block: &Block) -> Found {
    let sum = sum(block);
    if sum == 0 {
        return Found::Zeros;
    }
    let field = &block[148..156];
    // The checksum's own field counts as eight blanks.
    let unsigned = sum - field.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    let matches = |stored: i64| {
        stored == i64::from(unsigned) || {
            let negative = block[..148].iter().chain(&block[156..]).filter(|byte| **byte >= 0x80).count();
            i64::try_from(negative).is_ok_and(|negative| stored == i64::from(unsigned) - 256 * negative)
        }
    };
    if numeric(field).is_some_and(matches) { Found::Header } else { Found::Garbage }
}

/// The sum of all bytes: eight at a time in lanes of 16 bits, of which none can overflow (128 × 255 < 2^16).
fn sum(block: &Block) -> u32 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let mut lanes = 0_u64;
    for word in block.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        lanes += (word & EVEN) + (word >> 8 & EVEN);
    }
    [lanes, lanes >> 16, lanes >> 32, lanes >> 48].iter().map(|lane| (lane & 0xffff) as u32).sum()
}

/// A header block whose checksum is right, seen by its fields.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(pub(super) &'a Block);

impl<'a> Header<'a> {
    pub(super) const fn typeflag(self) -> u8 {
        self.0[156]
    }

    pub(super) fn format(self) -> Format {
        match &self.0[257..265] {
            b"ustar  \0" => Format::Gnu,
            [b'u', b's', b't', b'a', b'r', 0, ..] if self.0.ends_with(b"tar\0") => Format::Star,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
            _ => Format::V7,
        }
    }

    pub(super) fn name(self) -> &'a [u8] {
        until_nul(&self.0[..100])
    }

    pub(super) fn link_name(self) -> &'a [u8] {
        until_nul(&self.0[157..257])
    }

    /// What stands before the name and a slash; empty when there is nothing.
    pub(super) fn prefix(self) -> &'a [u8] {
        match self.format() {
            Format::V7 => &[],
            Format::Ustar => until_nul(&self.0[345..500]),
            Format::Star => until_nul(&self.0[345..476]),
            // GNU has times here. Go before 1.8 wrote a prefix all the same, and Go still reads it where a time is no
            // number.
            Format::Gnu => {
                let is_time = |field: &[u8]| field.first() == Some(&0) || numeric(field).is_some();
                let prefix = until_nul(&self.0[345..500]);
                let is_prefix = !(is_time(&self.0[345..357]) && is_time(&self.0[357..369]));
                if is_prefix && prefix.is_ascii() { prefix } else { &[] }
            }
        }
    }

    pub(super) fn mode(self) -> Option<i64> {
        numeric(&self.0[100..108])
    }

    pub(super) fn uid(self) -> Option<i64> {
        numeric(&self.0[108..116])
    }

    pub(super) fn gid(self) -> Option<i64> {
        numeric(&self.0[116..124])
    }

    pub(super) fn size(self) -> Option<i64> {
        numeric(&self.0[124..136])
    }

    pub(super) fn mtime(self) -> Option<i64> {
        numeric(&self.0[136..148])
    }

    /// Major and minor; both 0 in the format that has no fields for them.
    pub(super) fn device(self) -> Option<(i64, i64)> {
        match self.format() {
            Format::V7 => Some((0, 0)),
            _ => Some((numeric(&self.0[329..337])?, numeric(&self.0[337..345])?)),
        }
    }

    /// GNU's first four sparse descriptors, offset and length in 12 bytes each.
    pub(super) fn sparse_descriptors(self) -> &'a [u8] {
        &self.0[386..482]
    }

    /// Whether a block with more descriptors follows the header.
    pub(super) const fn has_more_descriptors(self) -> bool {
        self.0[482] != 0
    }

    /// GNU's size of the expanded file.
    pub(super) fn real_size(self) -> Option<i64> {
        numeric(&self.0[483..495])
    }
}

/// The bytes before the first NUL: all of them, if there is none.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_largest_bytes_does_not_overflow() {
        assert_eq!(sum(&[0xff; BLOCK]), 512 * 255);
        let mut block = [0; BLOCK];
        block[511] = 7;
        assert_eq!(sum(&block), 7);
    }

    #[test]
    fn checksums_of_signed_bytes_are_accepted() {
        let mut block = [0; BLOCK];
        block[..3].copy_from_slice(b"\xe9\xe8a");
        let sum = |block: &Block| {
            block[..148].iter().chain(&block[156..]).map(|byte| i32::from(byte.cast_signed())).sum::<i32>()
                + 256
        };
        let text = format!("{:06o}\0 ", sum(&block));
        block[148..156].copy_from_slice(text.as_bytes());
        assert_eq!(look_at(&block), Found::Header);
        block[0] = b'a';
        assert_eq!(look_at(&block), Found::Garbage);
    }
}
