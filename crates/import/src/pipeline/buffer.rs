//! Recycled buffers: the bound on an import's memory.
//!
//! All layers take the chunks of their tars from one [`Pool`]. A stage that wants a chunk when none is left waits for a
//! later stage to drop one, so a fast decompressor can never run ahead of a slow disk.
//! Invariant: a stage holds on to fewer chunks than the pool has (`ImportShape` in `mod.rs` divides them up), and the
//! writers need none: some chunk always comes back.

use std::{
    ops::Deref,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// The size of a chunk in bytes. Big enough that most files lie in one, small enough that it stays in a processor's
/// cache from the decompressor to the hashes.
pub(super) const CHUNK: usize = 256 << 10;

/// A bounded set of chunks.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    free: Mutex<Free>,
    returned: Condvar,
}

struct Free {
    buffers: Vec<Vec<u8>>,
    /// How many may still be allocated.
    unmade: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// A pool of `count` chunks, allocated when they are first needed.
    pub(super) fn new(count: usize) -> Self {
        let free = Free { buffers: Vec::with_capacity(count), unmade: count };
        Self(Arc::new(Shared { free: Mutex::new(free), returned: Condvar::new() }))
    }

    /// An empty chunk, waited for if need be.
    pub(super) fn take(&self) -> Buffer {
        let mut free = self.0.lock();
        loop {
            if let Some(bytes) = free.buffers.pop() {
                return Buffer { bytes, filled: 0, pool: Arc::clone(&self.0) };
            }
            if free.unmade > 0 {
                free.unmade -= 1;
                return Buffer { bytes: vec![0; CHUNK], filled: 0, pool: Arc::clone(&self.0) };
            }
            free = self.0.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A chunk, filled from its start; goes back to its pool when dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<Shared>,
}

impl Buffer {
    /// What is not filled yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that `count` bytes of the room were filled.
    pub(super) fn fill(&mut self, count: usize) {
        self.filled = self.bytes.len().min(self.filled + count);
    }

    /// Whether there is no room left.
    pub(super) const fn is_full(&self) -> bool {
        self.filled == self.bytes.len()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.lock().buffers.push(std::mem::take(&mut self.bytes));
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_never_makes_more_chunks_than_it_has() {
        let pool = Pool::new(2);
        let (mut first, second) = (pool.take(), pool.take());
        first.room()[..3].copy_from_slice(b"abc");
        first.fill(3);
        assert_eq!(&*first, b"abc");
        let waiting = std::thread::spawn({
            let pool = pool.clone();
            move || pool.take().len()
        });
        drop(second);
        // What comes back is empty again.
        assert_eq!(waiting.join().unwrap(), 0);
    }
}
