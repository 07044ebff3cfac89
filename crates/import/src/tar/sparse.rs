//! Sparse maps as the tar formats write them outside of extended headers: GNU's descriptors and the text of format 1.0.
//!
//! Source: GNU tar manual, "Storing Sparse Files"; GNU tar's `tar.h` (`struct sparse`).

use super::number::numeric;
use super::sparse_map::{Segment, SparseMap};
use super::{Reason, block::Block};

/// Bytes of an offset or a length in a descriptor.
const FIELD: usize = 12;

/// Descriptors of one extension block.
const DESCRIPTORS: usize = 21;

/// Reads descriptors until the first unused one.
pub(super) fn read_descriptors(descriptors: &[u8], map: &mut SparseMap, limit: usize) -> Result<(), Reason> {
    for [offset, len] in descriptors.as_chunks::<FIELD>().0.as_chunks::<2>().0 {
        if offset.first() == Some(&0) {
            break;
        }
        let number = |field: &[u8]| {
            let number = numeric(field).and_then(|number| u64::try_from(number).ok());
            number.ok_or(Reason::Number("sparse descriptor"))
        };
        map.push(Segment { offset: number(offset)?, len: number(len)? }, limit)?;
    }
    Ok(())
}

/// Reads an extension block and says whether another one follows.
pub(super) fn read_extension(block: &Block, map: &mut SparseMap, limit: usize) -> Result<bool, Reason> {
    read_descriptors(&block[..DESCRIPTORS * 2 * FIELD], map, limit)?;
    Ok(block[DESCRIPTORS * 2 * FIELD] != 0)
}

/// How many extension blocks a file may have: as many as the segments need, and one. Blocks without descriptors would
/// otherwise go on forever below the segments' bound.
pub(super) const fn extensions_limit(segments: usize) -> usize {
    segments / DESCRIPTORS + 1
}

/// A map of format 1.0, read block by block: decimal numbers, a newline after each; their count in pairs, then offset
/// and length of each segment.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    /// The digits so far of the number being read.
    number: Option<u64>,
    /// Segments still to come, once their count is known.
    remaining: Option<u64>,
    offset: Option<u64>,
}

impl TextMap {
    /// Reads one block and says whether the map is complete; the rest of its last block is padding.
    pub(super) fn read(&mut self, block: &Block, map: &mut SparseMap, limit: usize) -> Result<bool, Reason> {
        const MALFORMED: Reason = Reason::Sparse("the map in the body is not a list of numbers");
        for byte in block {
            if *byte != b'\n' {
                let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9).ok_or(MALFORMED)?;
                let number = self.number.unwrap_or(0).checked_mul(10).ok_or(MALFORMED)?;
                self.number = Some(number.checked_add(u64::from(digit)).ok_or(MALFORMED)?);
                continue;
            }
            let number = self.number.take().ok_or(MALFORMED)?;
            match (self.remaining, self.offset.take()) {
                (None, _) => self.remaining = Some(number),
                (Some(_), None) => self.offset = Some(number),
                (Some(remaining), Some(offset)) => {
                    map.push(Segment { offset, len: number }, limit)?;
                    self.remaining = Some(remaining.saturating_sub(1));
                }
            }
            if self.remaining == Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
