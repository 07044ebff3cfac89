//! [`BlobHash`]: the digest of a blob, computed beside that of its tar.
//!
//! Two SHA-256 at once take little more time than one. So the first stage, which reads the blob, leaves its pieces here,
//! and the second stage takes one along with each chunk of the tar that it hashes. Neither waits for the other: where
//! nothing was left the second stage hashes its chunk alone, and where too much was left (the second stage gave up, or
//! has no digest to compute) the first hashes the oldest piece itself.
//! Invariant: pieces are hashed in the order in which they came, each once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crossbeam_channel::Sender;

use crate::{Digest, DigestAlgorithm, DigestHasher};

/// How many pieces may be left at most. The second stage is behind the first by those that wait for the decompressor,
/// that which is in it, and those whose tar waits for the second stage: with fewer, the first would be too eager.
const LEFT: usize = 8;

/// The hash of one blob.
pub(super) struct BlobHash {
    state: Mutex<State>,
    /// Where buffers go that nobody needs any more.
    spare: Sender<Vec<u8>>,
}

struct State {
    hasher: DigestHasher,
    left: VecDeque<Arc<Vec<u8>>>,
}

impl BlobHash {
    pub(super) fn new(algorithm: DigestAlgorithm, spare: Sender<Vec<u8>>) -> Self {
        let state = State { hasher: DigestHasher::new(algorithm), left: VecDeque::with_capacity(LEFT + 1) };
        Self { state: Mutex::new(state), spare }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the next piece of the blob to be hashed.
    pub(super) fn leave(&self, piece: Arc<Vec<u8>>) {
        let mut state = self.lock();
        state.left.push_back(piece);
        while state.left.len() > LEFT {
            self.hash_oldest(&mut state);
        }
    }

    /// Hashes a chunk of the tar, and a piece of the blob along with it.
    pub(super) fn hash_along(&self, tar: &mut DigestHasher, chunk: &[u8]) {
        let mut state = self.lock();
        let Some(piece) = state.left.pop_front() else {
            drop(state);
            return tar.update(chunk);
        };
        tar.update_both(chunk, &mut state.hasher, &piece);
        drop(state);
        self.give_back(piece);
    }

    /// The digest of all that was left.
    pub(super) fn finish(&self) -> Digest {
        let mut state = self.lock();
        while !state.left.is_empty() {
            self.hash_oldest(&mut state);
        }
        state.hasher.clone().finish()
    }

    fn hash_oldest(&self, state: &mut State) {
        if let Some(piece) = state.left.pop_front() {
            state.hasher.update(&piece);
            self.give_back(piece);
        }
    }

    /// Done with a piece: whoever is the last to say so passes its buffer on, if the reader wants one more.
    pub(super) fn give_back(&self, piece: Arc<Vec<u8>>) {
        if let Some(buffer) = Arc::into_inner(piece) {
            let _ = self.spare.try_send(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;

    const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

    #[test]
    fn the_digests_are_right_whoever_hashes_what() {
        let pieces: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 1000 + usize::from(n) * 7]).collect();
        let chunks: Vec<Vec<u8>> = (0..25_u8).map(|n| vec![!n; 1500 - usize::from(n) * 11]).collect();
        for (blob, tar) in
            [(SHA256, SHA256), (SHA256, DigestAlgorithm::Sha512), (DigestAlgorithm::Sha512, SHA256)]
        {
            let (spare, _spares) = bounded(4);
            let (hash, mut of_tar) = (BlobHash::new(blob, spare), DigestHasher::new(tar));
            std::thread::scope(|scope| {
                scope.spawn(|| pieces.iter().for_each(|piece| hash.leave(Arc::new(piece.clone()))));
                for chunk in &chunks {
                    hash.hash_along(&mut of_tar, chunk);
                }
            });
            assert_eq!(hash.finish(), Digest::of(blob, &pieces.concat()));
            assert_eq!(of_tar.finish(), Digest::of(tar, &chunks.concat()));
        }
    }

    #[test]
    fn without_a_second_stage_pieces_do_not_pile_up_and_buffers_come_back() {
        let (spare, spares) = bounded(100);
        let hash = BlobHash::new(SHA256, spare);
        for n in 0..20_u8 {
            hash.leave(Arc::new(vec![n; 10]));
            assert!(hash.lock().left.len() <= LEFT);
        }
        let _ = hash.finish();
        assert_eq!(spares.len(), 20);
    }
}
