//! Buffers that travel between threads and come back.
//!
//! Invariant: at most as many buffers exist as the channels hold, and none is allocated twice.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// The size of a piece of the decompressed stream: fits the second-level cache beside its neighbour.
pub const CHUNK: usize = 256 << 10;

/// Where buffers wait to be used again.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// A buffer of [`CHUNK`] bytes with whatever it held before.
    pub fn take(&self) -> Chunk {
        let waiting = self.0.lock().ok().and_then(|mut waiting| waiting.pop());
        Chunk { bytes: waiting.unwrap_or_else(|| vec![0; CHUNK]), length: CHUNK, pool: self.clone() }
    }
}

/// A buffer that returns to its pool when the last user drops it.
pub struct Chunk {
    bytes: Vec<u8>,
    length: usize,
    pool: Pool,
}

impl Chunk {
    /// Keeps the first `length` bytes.
    pub fn shorten(&mut self, length: usize) {
        self.length = length.min(self.bytes.len());
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Ok(mut waiting) = self.pool.0.lock() {
            waiting.push(std::mem::take(&mut self.bytes));
        }
    }
}
