//! What a file system keeps beside a file whose fs-verity is enabled: the Merkle tree and the descriptor.
//!
//! What lives here: computing both, for file systems that are written without a kernel. What does not: where a file system
//! puts them. Memory: the digests of the tree, 1/64 of the file's size with SHA-512, half of that with SHA-256.

use super::{
    descriptor,
    lanes::{self, Frame, GROUP},
};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// The size of a descriptor (`struct fsverity_descriptor` without a signature), in bytes.
pub const DESCRIPTOR_SIZE: usize = 256;

/// A file's Merkle tree and descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The file's digest.
    pub id: ObjectId,
    /// The tree's blocks, the root's first; none for a file of one block or less.
    pub tree: Vec<u8>,
    /// The descriptor.
    pub descriptor: [u8; DESCRIPTOR_SIZE],
}

/// Computes the seal of bytes that come in pieces.
///
/// ```
/// use sealstone_store::{Algorithm, verity::{self, Sealer}};
///
/// let mut sealer = Sealer::new(Algorithm::Sha256);
/// sealer.update(&[7; 10_000]);
/// let seal = sealer.finish();
/// assert_eq!(seal.id, verity::digest(Algorithm::Sha256, &[7; 10_000]));
/// assert_eq!(seal.tree.len(), 4096);
/// ```
#[derive(Clone, Debug)]
pub struct Sealer {
    algorithm: Algorithm,
    size: u64,
    /// Less than a group of blocks.
    begun: Vec<u8>,
    /// The digests of the data blocks.
    lowest: Vec<u8>,
}

impl Sealer {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, size: 0, begun: Vec::new(), lowest: Vec::new() }
    }

    /// Adds bytes at the end.
    pub fn update(&mut self, mut data: &[u8]) {
        const FULL: usize = GROUP * BLOCK_SIZE;
        self.size = self.size.saturating_add(data.len() as u64);
        while !data.is_empty() {
            let (fill, rest) = data.split_at(data.len().min(FULL - self.begun.len()));
            self.begun.extend_from_slice(fill);
            data = rest;
            if self.begun.len() == FULL {
                hash_into(self.algorithm, &self.begun, &mut self.lowest);
                self.begun.clear();
            }
        }
    }

    /// The seal of all bytes seen.
    #[must_use]
    pub fn finish(mut self) -> Seal {
        let algorithm = self.algorithm;
        hash_into(algorithm, &self.begun, &mut self.lowest);
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut digests = self.lowest;
        while digests.len() > algorithm.digest_len() {
            digests.resize(digests.len().next_multiple_of(BLOCK_SIZE), 0);
            let mut above = Vec::new();
            hash_into(algorithm, &digests, &mut above);
            levels.push(std::mem::replace(&mut digests, above));
        }
        let mut root = [0; 64];
        root.iter_mut().zip(&digests).for_each(|(place, byte)| *place = *byte);
        let mut whole = [0; DESCRIPTOR_SIZE];
        let head = descriptor::head(algorithm, self.size, &root);
        whole.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
        levels.reverse();
        let id = descriptor::digest(algorithm, self.size, &root);
        Seal { id, tree: levels.concat(), descriptor: whole }
    }
}

/// Adds the digests of blocks, the last of which may be short.
fn hash_into(algorithm: Algorithm, data: &[u8], digests: &mut Vec<u8>) {
    for group in data.chunks(GROUP * BLOCK_SIZE) {
        let bodies: Vec<&[u8]> = group.chunks(BLOCK_SIZE).collect();
        let start = digests.len();
        digests.resize(start + bodies.len() * algorithm.digest_len(), 0);
        if let Some(out) = digests.get_mut(start..) {
            lanes::hash_all(algorithm, Frame::Block, &bodies, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verity;

    #[test]
    fn the_seal_has_the_digest_of_the_content_at_every_boundary_of_the_tree() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let hashes = BLOCK_SIZE / algorithm.digest_len();
            for blocks in [0, 1, 2, hashes - 1, hashes, hashes + 1, hashes * hashes, hashes * hashes + 1] {
                for odd in [0, 1, 4095] {
                    let data: Vec<u8> = (0..blocks * BLOCK_SIZE + odd)
                        .map(|byte| byte.to_le_bytes()[0] ^ byte.to_le_bytes()[1])
                        .collect();
                    let mut sealer = Sealer::new(algorithm);
                    data.chunks(70_001).for_each(|piece| sealer.update(piece));
                    let seal = sealer.finish();
                    assert_eq!(seal.id, verity::digest(algorithm, &data), "{algorithm:?} {blocks} {odd}");
                    assert_eq!(seal.tree.len() % BLOCK_SIZE, 0);
                }
            }
        }
    }
}
