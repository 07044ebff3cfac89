//! [`Durable`]: a value that a power cut can no longer take back.
//!
//! Only a committed [`Transaction`](crate::Transaction) makes one, after its barrier and after its names were synced.
//! Code that must not run earlier (boot entries, deployment records) asks for a `Durable<T>` and nothing less, so the
//! compiler holds the order.

use std::ops::Deref;

/// A value whose objects and names are on the disk for good.
#[must_use = "what was made durable is named by this"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// For the transaction alone, after its last sync.
    pub(crate) const fn after_sync(value: T) -> Self {
        Self(value)
    }

    /// The value; from here on, nothing tells that it is durable.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A part or a view of the value: what it was made from is durable, so it is.
    pub fn map<U>(self, view: impl FnOnce(T) -> U) -> Durable<U> {
        Durable(view(self.0))
    }

    /// Borrows the value.
    pub const fn as_ref(&self) -> Durable<&T> {
        Durable(&self.0)
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
