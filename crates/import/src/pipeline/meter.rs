//! How much processor time each stage of an import takes.
//!
//! What lives here: sums over the threads of a stage. What does not: the clock of the whole, and waiting. Each thread reads
//! its own clock when it begins and when it ends, so measuring costs nothing while chunks are on their way.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::report::ProcessorTime;

/// Sums of nanoseconds.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) read: Spent,
    pub(super) decompress: Spent,
    pub(super) digest: Spent,
    pub(super) write: Spent,
}

/// The time spent in one stage.
#[derive(Default)]
pub(super) struct Spent(AtomicU64);

impl Spent {
    /// Does the work, and adds what it took of this thread's time.
    pub(super) fn on<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = of_this_thread();
        let done = work();
        let spent = of_this_thread().saturating_sub(start);
        self.0.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        done
    }

    fn sum(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Meter {
    /// The sums; right once the threads have ended.
    pub(super) fn report(&self) -> ProcessorTime {
        ProcessorTime {
            read: self.read.sum(),
            decompress: self.decompress.sum(),
            digest: self.digest.sum(),
            write: self.write.sum(),
        }
    }
}

/// The processor time of the calling thread (`clock_gettime(2)`).
fn of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let meter = Meter::default();
        // Until the clock itself says that time was spent: not by how fast this machine is.
        let answer = meter.digest.on(|| {
            let start = of_this_thread();
            while of_this_thread() < start + Duration::from_millis(2) {}
            7
        });
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let spent = &meter.read;
            scope.spawn(move || spent.on(|| receiver.recv().is_err()));
            scope.spawn(move || {
                let start = of_this_thread();
                while of_this_thread() < start + Duration::from_millis(50) {}
                drop(sender);
            });
        });
        let report = meter.report();
        assert_eq!(answer, 7);
        assert!(report.digest >= Duration::from_millis(2), "{report:?}");
        assert!(report.read < Duration::from_millis(50), "{report:?}");
        assert_eq!((report.decompress, report.write), Default::default());
    }
}
