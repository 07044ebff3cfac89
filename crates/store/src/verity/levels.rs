//! The growing Merkle tree of one file: a stack of levels, each a few blocks of digests that await their parent.
//!
//! Memory is constant: a level never holds more than [`GROUP`] blocks (64 KiB), and 2^64 bytes have eight levels at
//! most. A full level is hashed in one go, so that upper levels fill the lanes as the data does.

use super::lanes::{self, Frame, GROUP};
use crate::{Algorithm, BLOCK_SIZE};

/// The levels above the data, lowest first.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    algorithm: Algorithm,
    levels: Vec<Vec<u8>>,
}

/// The bytes at which a level is hashed into its parent.
const FULL: usize = GROUP * BLOCK_SIZE;

impl Levels {
    pub(super) const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, levels: Vec::new() }
    }

    /// Adds the digests of data blocks to the lowest level. `data` ends at a block's end, or is the end of the file.
    pub(super) fn add_blocks(&mut self, data: &[u8]) {
        for group in data.chunks(FULL) {
            self.hash_into(0, group);
        }
    }

    /// Adds a finished digest to a level. Nothing may be waiting below it.
    pub(super) fn add_digest(&mut self, level: usize, digest: &[u8]) {
        self.level(level).extend_from_slice(digest);
        self.settle(level);
    }

    /// Adds so many blocks of zeros to the data, at the cost of a few for any count.
    pub(super) fn add_zero_blocks(&mut self, count: u64) {
        let zeros = lanes::hash_one(self.algorithm, Frame::Block, &[]);
        self.add_equal(0, zeros, count);
    }

    /// Adds one digest many times. What would fill whole groups of the level is added above it, once a parent.
    fn add_equal(&mut self, level: usize, digest: [u8; 64], mut count: u64) {
        let len = self.algorithm.digest_len();
        let own = digest.get(..len).unwrap_or(&digest);
        while count > 0 && !self.level(level).is_empty() {
            self.add_digest(level, own);
            count -= 1;
        }
        let full = (FULL / len) as u64;
        if count >= full {
            let parent = lanes::hash_one(self.algorithm, Frame::Block, &own.repeat(BLOCK_SIZE / len));
            self.add_equal(level + 1, parent, count / full * GROUP as u64);
        }
        for _ in 0..count % full {
            self.add_digest(level, own);
        }
    }

    /// The root hash (zeros after its digest); all zeros when nothing was added.
    pub(super) fn root(mut self) -> [u8; 64] {
        let mut index = 0;
        loop {
            let is_top = index + 1 >= self.levels.len();
            let waiting = self.levels.get_mut(index).map(std::mem::take).unwrap_or_default();
            if is_top && waiting.len() <= self.algorithm.digest_len() {
                let mut root = [0; 64];
                root.iter_mut().zip(waiting).for_each(|(place, byte)| *place = byte);
                return root;
            }
            index += 1;
            self.hash_into(index, &waiting);
        }
    }

    /// The digest of the lowest level's only block, which is not the root even if it holds a single digest.
    pub(super) fn parent_of_lowest(&self) -> [u8; 64] {
        lanes::hash_one(self.algorithm, Frame::Block, self.levels.first().map_or(&[], Vec::as_slice))
    }

    /// Hashes at most [`GROUP`] blocks and adds their digests to a level.
    fn hash_into(&mut self, level: usize, blocks: &[u8]) {
        if blocks.is_empty() {
            return;
        }
        let algorithm = self.algorithm;
        let mut bodies: [&[u8]; GROUP] = [&[]; GROUP];
        bodies.iter_mut().zip(blocks.chunks(BLOCK_SIZE)).for_each(|(body, block)| *body = block);
        let count = blocks.len().div_ceil(BLOCK_SIZE);
        let digests = self.level(level);
        let start = digests.len();
        digests.resize(start + count * algorithm.digest_len(), 0);
        if let (Some(bodies), Some(out)) = (bodies.get(..count), digests.get_mut(start..)) {
            lanes::hash_all(algorithm, Frame::Block, bodies, out);
        }
        self.settle(level);
    }

    /// Hashes a level that is full into its parent; digests beyond the full blocks stay.
    fn settle(&mut self, level: usize) {
        let Some(digests) = self.levels.get_mut(level).filter(|digests| digests.len() >= FULL) else {
            return;
        };
        let mut full = std::mem::take(digests);
        let rest = full.split_off(FULL);
        self.hash_into(level + 1, &full);
        full.clear();
        full.extend_from_slice(&rest);
        if let Some(digests) = self.levels.get_mut(level) {
            *digests = full;
        }
    }

    fn level(&mut self, index: usize) -> &mut Vec<u8> {
        if self.levels.len() <= index {
            self.levels.resize_with(index + 1, Vec::new);
        }
        #[allow(clippy::indexing_slicing, reason = "made just above")]
        &mut self.levels[index]
    }
}
