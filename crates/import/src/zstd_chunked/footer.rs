//! [`Footer`]: the last skippable frame of a zstd:chunked blob.
//!
//! It says again what the annotations say. Pulls do not read it: nothing but the blob's own digest covers it. It is
//! written for readers that have a blob and no manifest.

use super::{Part, SKIPPABLE_MAGIC, TABLE_KIND};

/// The length of the whole frame, the blob's last bytes.
pub const FOOTER_BYTES: usize = 72;

const PAYLOAD: u32 = 64;
const MAGIC: [u8; 8] = *b"GNUlInUx";

/// Where the table of contents and the tar-split lie; the offsets are those of their payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The table of contents.
    pub toc: Part,
    /// The tar-split.
    pub tar_split: Part,
}

impl Footer {
    /// Reads the last bytes of a blob; nothing if they are no footer of this format.
    #[must_use]
    pub fn parse(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, payload) = rest.split_first_chunk::<4>()?;
        let (fields, end) = payload.split_last_chunk::<8>()?;
        let mut numbers = fields.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let toc = part(&mut numbers)?;
        let kind = numbers.next()?;
        let tar_split = part(&mut numbers)?;
        let is_footer = *magic == SKIPPABLE_MAGIC
            && u32::from_le_bytes(*length) == PAYLOAD
            && kind == TABLE_KIND
            && *end == MAGIC;
        is_footer.then_some(Self { toc, tar_split })
    }

    /// The frame.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_BYTES] {
        let numbers = [
            self.toc.offset,
            self.toc.packed,
            self.toc.unpacked,
            TABLE_KIND,
            self.tar_split.offset,
            self.tar_split.packed,
            self.tar_split.unpacked,
        ];
        let head = SKIPPABLE_MAGIC.into_iter().chain(PAYLOAD.to_le_bytes());
        let payload = numbers.into_iter().flat_map(u64::to_le_bytes).chain(MAGIC);
        let mut bytes = [0; FOOTER_BYTES];
        for (place, byte) in bytes.iter_mut().zip(head.chain(payload)) {
            *place = byte;
        }
        bytes
    }
}

fn part(numbers: &mut impl Iterator<Item = u64>) -> Option<Part> {
    Some(Part { offset: numbers.next()?, packed: numbers.next()?, unpacked: numbers.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_reads_back_and_a_changed_one_does_not() {
        let footer = Footer {
            toc: Part { offset: 1, packed: 2, unpacked: 3 },
            tar_split: Part { offset: 4, packed: 5, unpacked: u64::MAX },
        };
        let bytes = footer.encode();
        assert_eq!(Footer::parse(&bytes), Some(footer));
        for place in [0, 4, 32, 64, 71] {
            let mut bad = bytes;
            bad[place] ^= 1;
            assert_eq!(Footer::parse(&bad), None, "byte {place}");
        }
    }
}
