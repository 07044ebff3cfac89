//! The digest of a big body on several threads.

use rayon::prelude::*;

use super::{descriptor, levels::Levels};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// The fs-verity digest of `data`, computed on the threads of `pool`.
///
/// Worth it from some MiB on; the calling thread waits.
#[must_use]
pub fn digest_parallel(pool: &rayon::ThreadPool, algorithm: Algorithm, data: &[u8]) -> ObjectId {
    // One piece is what one block of the lowest level covers: 512 KiB with SHA-256, 256 KiB with SHA-512.
    let piece = BLOCK_SIZE / algorithm.digest_len() * BLOCK_SIZE;
    if data.len() <= piece {
        return super::digest(algorithm, data);
    }
    let roots: Vec<[u8; 64]> =
        pool.install(|| data.par_chunks(piece).map(|piece| subtree(algorithm, piece)).collect());
    let mut levels = Levels::new(algorithm);
    for root in roots {
        levels.add_digest(1, root.get(..algorithm.digest_len()).unwrap_or(&root));
    }
    descriptor::digest(algorithm, data.len() as u64, &levels.root())
}

/// The digest of the one level-0 block of a piece: hashed even when it holds a single digest, since it is not the root.
fn subtree(algorithm: Algorithm, piece: &[u8]) -> [u8; 64] {
    let mut levels = Levels::new(algorithm);
    levels.add_blocks(piece);
    levels.parent_of_lowest()
}
