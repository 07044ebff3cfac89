//! The gate before wide zstd windows: frames above 8 MiB are decoded one at a time, whatever the number of layers.
//!
//! RFC 8878 §3.1.1.1.2 recommends that every decoder takes windows of up to 8 MiB; more is allowed, but an image with
//! many such layers must not multiply it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Frames with a window up to this size, in bytes, pass the gate freely.
pub(super) const FREE_WINDOW: u64 = 8 << 20;

/// Gives out the permit for wide windows; its clones share the one permit.
#[derive(Clone, Debug, Default)]
pub struct WindowGate(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hold a wide window, until dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Gate>);

impl WindowGate {
    /// Waits for the permit. Its holder is decoding, so it comes.
    pub(super) fn wait(&self) -> Permit {
        let mut taken = self.0.lock();
        while *taken {
            taken = self.0.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Permit(Arc::clone(&self.0))
    }

    #[cfg(test)]
    pub(super) fn is_taken(&self) -> bool {
        *self.0.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.freed.notify_one();
    }
}
