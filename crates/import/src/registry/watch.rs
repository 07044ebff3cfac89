//! [`Watch`]: ends requests that are on their way when the caller cancels: a thread that waits for a dead connection
//! cannot ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use sealstone_store::control::CancelToken;

/// How soon a cancelled request ends.
const PERIOD: Duration = Duration::from_millis(100);

/// A thread that looks at a token as long as this lives.
#[derive(Debug, Default)]
pub(super) struct Watch {
    over: Arc<AtomicBool>,
}

impl Watch {
    /// Calls `shut_down` when the token is cancelled.
    pub(super) fn start(cancel: Option<&CancelToken>, shut_down: impl Fn() + Send + 'static) -> Self {
        let watch = Self::default();
        let Some(cancel) = cancel.cloned() else { return watch };
        let over = Arc::clone(&watch.over);
        // Without the thread, cancelling takes as long as a timeout.
        let _ = thread::Builder::new().name("registry".to_owned()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if cancel.is_cancelled() {
                    return shut_down();
                }
                thread::sleep(PERIOD);
            }
        });
        watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
