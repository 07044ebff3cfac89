//! [`FailingDisk`]: fails the Nth call that a test picks, once or from then on, with an errno of the test's choice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rustix::io::Errno;

use super::{Call, Disk, Reply};

type Picks = dyn Fn(&Call<'_>) -> bool + Send + Sync;

/// A disk that fails on purpose; the failed call is not made.
pub struct FailingDisk {
    inner: Arc<dyn Disk>,
    picks: Box<Picks>,
    errno: Errno,
    first: usize,
    sticky: bool,
    seen: AtomicUsize,
}

impl FailingDisk {
    /// Fails the call number `nth` (from 0) among those that `picks` picks; the later ones too if `sticky`.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Disk>,
        nth: usize,
        sticky: bool,
        errno: Errno,
        picks: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, picks: Box::new(picks), errno, first: nth, sticky, seen: AtomicUsize::new(0) })
    }

    /// Whether the call to fail has come: a loop over N ends when it has not.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.seen.load(Ordering::SeqCst) > self.first
    }
}

impl Disk for FailingDisk {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        if (self.picks)(call) {
            let number = self.seen.fetch_add(1, Ordering::SeqCst);
            if number == self.first || (self.sticky && number > self.first) {
                return Err(self.errno);
            }
        }
        self.inner.call(call)
    }
}
