//! The digest of a big body on several threads.
//!
//! Invariant: threads share nothing but the number of the next piece; what one of them finds ends the others.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use rayon::prelude::*;

use super::{descriptor, levels::Levels};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// The data that one block of the lowest level covers, in bytes: 512 KiB with SHA-256, 256 KiB with SHA-512.
const fn piece_len(algorithm: Algorithm) -> usize {
    BLOCK_SIZE / algorithm.digest_len() * BLOCK_SIZE
}

/// The fs-verity digest of `data`, computed on the threads of `pool`.
///
/// Worth it from some MiB on; the calling thread waits.
#[must_use]
pub fn digest_parallel(pool: &rayon::ThreadPool, algorithm: Algorithm, data: &[u8]) -> ObjectId {
    let piece = piece_len(algorithm);
    if data.len() <= piece {
        return super::digest(algorithm, data);
    }
    let roots: Vec<[u8; 64]> =
        pool.install(|| data.par_chunks(piece).map(|piece| subtree(algorithm, piece)).collect());
    join(algorithm, data.len() as u64, &roots)
}

/// The fs-verity digest of `size` bytes that `read` fills buffers with, by their offsets, on this thread and another one.
///
/// Worth it from a MiB on, and where the other thread finds a processor. Memory: two buffers of at most 512 KiB, and the
/// digests of the lowest level but one.
///
/// # Errors
/// What `read` returns: of several errors any one.
pub fn digest_read<E: Send>(
    algorithm: Algorithm,
    size: u64,
    read: impl Fn(u64, &mut [u8]) -> Result<(), E> + Sync,
) -> Result<ObjectId, E> {
    let piece = piece_len(algorithm) as u64;
    if size <= piece {
        // It fits a piece, so that it fits memory.
        let mut body = vec![0; usize::try_from(size).unwrap_or_default()];
        read(0, &mut body)?;
        return Ok(super::digest(algorithm, &body));
    }
    let next = AtomicU64::new(0);
    let work = || {
        let (mut roots, mut buffer) = (Vec::new(), vec![0; piece_len(algorithm)]);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(rest) = number.checked_mul(piece).and_then(|start| size.checked_sub(start)) else {
                break;
            };
            let len = usize::try_from(rest.min(piece)).unwrap_or_default();
            let Some(body) = buffer.get_mut(..len).filter(|body| !body.is_empty()) else { break };
            if let Err(error) = read(number * piece, body) {
                next.store(size.div_ceil(piece), Ordering::Relaxed);
                return Err(error);
            }
            roots.push((number, subtree(algorithm, body)));
        }
        Ok(roots)
    };
    let (own, others) = thread::scope(|scope| {
        let other = scope.spawn(work);
        // A panic goes on here.
        (work(), other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let mut roots = own?;
    roots.extend(others?);
    roots.sort_unstable_by_key(|(number, _)| *number);
    let roots: Vec<[u8; 64]> = roots.into_iter().map(|(_, root)| root).collect();
    Ok(join(algorithm, size, &roots))
}

/// The digest of a body from those of its pieces' level-0 blocks.
fn join(algorithm: Algorithm, size: u64, roots: &[[u8; 64]]) -> ObjectId {
    let mut levels = Levels::new(algorithm);
    for root in roots {
        levels.add_digest(1, root.get(..algorithm.digest_len()).unwrap_or(root));
    }
    descriptor::digest(algorithm, size, &levels.root())
}

/// The digest of the one level-0 block of a piece: hashed even when it holds a single digest, since it is not the root.
fn subtree(algorithm: Algorithm, piece: &[u8]) -> [u8; 64] {
    let mut levels = Levels::new(algorithm);
    levels.add_blocks(piece);
    levels.parent_of_lowest()
}
