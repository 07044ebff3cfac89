//! The header of a member of a tar that we write: POSIX ustar, with nothing of this machine in it and the time of 1970.
//!
//! What lives here: the one block. What does not: extended headers, which say what its fields cannot hold, bodies, padding.
//! Invariant: the same values give the same bytes. Source: POSIX.1-2017 `pax`, "ustar Interchange Format".

use super::block::{BLOCK, Block};

/// What a header of ustar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ustar<'a> {
    /// `typeflag`: `0` a file, `1` a hardlink, `2` a symlink, `5` a folder, `x` an extended header.
    pub kind: u8,
    /// The path; what is beyond [`Ustar::NAME_MAX`] bytes is cut.
    pub path: &'a [u8],
    /// What a link leads to, cut in the same way.
    pub target: &'a [u8],
    /// The mode's lower twelve bits.
    pub mode: u16,
    /// The owner, at most [`Ustar::OWNER_MAX`]: a larger one is written as that.
    pub uid: u32,
    /// The group, likewise.
    pub gid: u32,
    /// The body's size in bytes. Beyond [`Ustar::SIZE_MAX`] it is in GNU's base 256, which everybody reads (`tar(5)`).
    pub size: u64,
}

impl Ustar<'_> {
    /// The bytes of a header, and what bodies are padded to.
    pub const BLOCK: u64 = BLOCK as u64;

    /// The longest path and target, in bytes.
    pub const NAME_MAX: usize = 100;

    /// The largest number of an owner: seven octal digits.
    pub const OWNER_MAX: u32 = 0o777_7777;

    /// The largest size in octal: eleven digits.
    pub const SIZE_MAX: u64 = 0o777_7777_7777;

    /// The header.
    #[must_use]
    pub fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let owner = |id: u32| format!("{:07o}", id.min(Self::OWNER_MAX));
        field(&mut block, 0, 100, self.path);
        field(&mut block, 100, 8, format!("{:07o}", self.mode).as_bytes());
        field(&mut block, 108, 8, owner(self.uid).as_bytes());
        field(&mut block, 116, 8, owner(self.gid).as_bytes());
        if self.size <= Self::SIZE_MAX {
            field(&mut block, 124, 12, format!("{:011o}", self.size).as_bytes());
        } else {
            field(&mut block, 124, 12, &[&[0x80, 0, 0, 0][..], &self.size.to_be_bytes()].concat());
        }
        field(&mut block, 136, 12, b"00000000000");
        // The checksum counts as blanks.
        field(&mut block, 148, 8, b"        ");
        field(&mut block, 156, 1, &[self.kind]);
        field(&mut block, 157, 100, self.target);
        field(&mut block, 257, 8, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        field(&mut block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// Writes a field; what does not fit is cut.
fn field(block: &mut Block, at: usize, len: usize, value: &[u8]) {
    for (place, byte) in block.iter_mut().skip(at).take(len).zip(value) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_understands_the_header() {
        let file = Ustar { kind: b'0', path: b"a/b", target: b"", mode: 0o4755, uid: 7, gid: 8, size: 77 };
        let large = Ustar { size: (9 << 30) + 1, ..file };
        let link = Ustar { kind: b'2', target: b"../c", size: 0, ..file };
        for ours in [file, large, link, Ustar { kind: b'5', path: b"blobs/", ..link }] {
            let block = ours.block();
            let header = tar::Header::from_byte_slice(&block);
            assert_eq!(header.path_bytes().as_ref(), ours.path);
            assert_eq!(header.link_name_bytes().unwrap_or_default().as_ref(), ours.target);
            assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o4755, 0));
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (7, 8));
            assert_eq!(header.size().unwrap(), ours.size);
            assert_eq!(header.entry_type().as_byte(), ours.kind);
            let counted = |at: usize, byte: u8| u32::from(if (148..156).contains(&at) { b' ' } else { byte });
            let sum: u32 = block.iter().enumerate().map(|(at, byte)| counted(at, *byte)).sum();
            assert_eq!(header.cksum().unwrap(), sum);
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_leaves_the_next_field_alone() {
        let long = [b'p'; 300];
        let header =
            Ustar { kind: b'1', path: &long, target: &long, mode: 0o644, uid: u32::MAX, gid: 0, size: 0 };
        let block = header.block();
        let header = tar::Header::from_byte_slice(&block);
        assert_eq!(header.path_bytes().len(), 100);
        assert_eq!(header.link_name_bytes().unwrap().len(), 100);
        assert_eq!(header.uid().unwrap(), u64::from(Ustar::OWNER_MAX));
        assert!(header.as_ustar().is_some());
    }
}
