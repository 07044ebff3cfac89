//! The digests of a batch of bodies, most of them small.
//!
//! Most files of a system have a single block, which alone would leave all lanes but one idle. So the blocks of all
//! files of a batch are hashed side by side, then the blocks of their first level, and so on, then their descriptors.

use super::{
    descriptor,
    lanes::{self, Frame},
};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// Computes the fs-verity digest of each body and appends them to `ids`, in order.
///
/// Meant for batches of up to some MiB: a batch takes memory for the digests of all its blocks (1/128 of its bytes
/// with SHA-256, 1/64 with SHA-512, at least one digest a body).
pub fn digest_many(algorithm: Algorithm, bodies: &[&[u8]], ids: &mut Vec<ObjectId>) {
    let len = algorithm.digest_len();
    let mut roots = vec![[0; 64]; bodies.len()];
    // The level being hashed: which file each range of blocks belongs to.
    let mut level: Vec<Span> = Vec::with_capacity(bodies.len());
    let mut blocks: Vec<&[u8]> = Vec::with_capacity(bodies.len());
    for (file, body) in bodies.iter().enumerate().filter(|(_, body)| !body.is_empty()) {
        level.push(Span { file, blocks: body.len().div_ceil(BLOCK_SIZE) });
        blocks.extend(body.chunks(BLOCK_SIZE));
    }
    let mut digests = vec![0; blocks.len() * len];
    lanes::hash_all(algorithm, Frame::Block, &blocks, &mut digests);
    while !level.is_empty() {
        let mut parents = Vec::new();
        let mut blocks: Vec<&[u8]> = Vec::new();
        let mut rest = digests.as_slice();
        for span in level {
            let (own, others) = rest.split_at(span.blocks * len);
            rest = others;
            if span.blocks == 1 {
                if let Some(root) = roots.get_mut(span.file) {
                    root.iter_mut().zip(own).for_each(|(place, byte)| *place = *byte);
                }
            } else {
                parents.push(Span { file: span.file, blocks: own.len().div_ceil(BLOCK_SIZE) });
                blocks.extend(own.chunks(BLOCK_SIZE));
            }
        }
        let mut above = vec![0; blocks.len() * len];
        lanes::hash_all(algorithm, Frame::Block, &blocks, &mut above);
        digests = above;
        level = parents;
    }
    describe_all(algorithm, bodies, &roots, ids);
}

/// How many blocks of a level one file has.
struct Span {
    file: usize,
    blocks: usize,
}

/// Hashes the descriptors side by side.
fn describe_all(algorithm: Algorithm, bodies: &[&[u8]], roots: &[[u8; 64]], ids: &mut Vec<ObjectId>) {
    let heads: Vec<_> = bodies
        .iter()
        .zip(roots)
        .map(|(body, root)| descriptor::head(algorithm, body.len() as u64, root))
        .collect();
    let heads: Vec<&[u8]> = heads.iter().map(<[u8; descriptor::HEAD]>::as_slice).collect();
    let mut digests = vec![0; heads.len() * algorithm.digest_len()];
    lanes::hash_all(algorithm, Frame::Descriptor, &heads, &mut digests);
    ids.extend(digests.chunks_exact(algorithm.digest_len()).map(|digest| {
        let mut bytes = [0; 64];
        bytes.iter_mut().zip(digest).for_each(|(place, byte)| *place = *byte);
        ObjectId::from_padded(algorithm, bytes)
    }));
}
