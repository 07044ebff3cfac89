//! The digest of a stream, in constant memory.

use super::{descriptor, lanes::Processor, levels::Levels};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// Computes the fs-verity digest of bytes that come in pieces of any size.
///
/// As many blocks as fill the processor's lanes (64 KiB at most) are hashed where they lie in the caller's slice; less
/// is gathered first. Memory: that, and under 64 KiB a level of the tree (with SHA-256 two levels up to 64 MiB, three
/// up to 8 GiB).
///
/// ```
/// use sealstone_store::{Algorithm, verity};
///
/// let mut hasher = verity::Hasher::new(Algorithm::Sha512);
/// hasher.update(b"some ");
/// hasher.update(b"bytes");
/// assert_eq!(hasher.finish(), verity::digest(Algorithm::Sha512, b"some bytes"));
/// ```
#[derive(Clone, Debug)]
pub struct Hasher {
    algorithm: Algorithm,
    /// Bytes so far.
    size: u64,
    /// The bytes that fill the lanes.
    group: usize,
    /// Less than a group that waits for more.
    begun: Vec<u8>,
    levels: Levels,
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let group = Processor::detect().width(algorithm) * BLOCK_SIZE;
        Self { algorithm, size: 0, group, begun: Vec::new(), levels: Levels::new(algorithm) }
    }

    /// Bytes seen so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at the end.
    pub fn update(&mut self, mut data: &[u8]) {
        self.size = self.size.saturating_add(data.len() as u64);
        if !self.begun.is_empty() {
            let (fill, rest) = data.split_at(data.len().min(self.group - self.begun.len()));
            self.begun.extend_from_slice(fill);
            data = rest;
            if self.begun.len() < self.group {
                return;
            }
            self.levels.add_blocks(&self.begun);
            self.begun.clear();
        }
        let (groups, rest) = data.split_at(data.len() - data.len() % self.group);
        self.levels.add_blocks(groups);
        self.begun.extend_from_slice(rest);
    }

    /// Adds so many zeros at the end, without looking at each: for the holes of sparse files.
    pub fn update_zeros(&mut self, mut len: u64) {
        self.size = self.size.saturating_add(len);
        // The begun block first.
        let missing = self.begun.len().next_multiple_of(BLOCK_SIZE) - self.begun.len();
        let fill = len.min(missing as u64);
        self.begun.resize(self.begun.len() + usize::try_from(fill).unwrap_or_default(), 0);
        len -= fill;
        if len == 0 && self.begun.len() < self.group {
            return;
        }
        self.levels.add_blocks(&self.begun);
        self.begun.clear();
        self.levels.add_zero_blocks(len / BLOCK_SIZE as u64);
        self.begun.resize(usize::try_from(len % BLOCK_SIZE as u64).unwrap_or_default(), 0);
    }

    /// The digest of all bytes seen.
    #[must_use]
    pub fn finish(mut self) -> ObjectId {
        self.levels.add_blocks(&self.begun);
        descriptor::digest(self.algorithm, self.size, &self.levels.root())
    }
}
