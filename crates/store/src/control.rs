//! How a caller watches and steers a long call: progress events, cancelling, threads, memory.
//!
//! Every call that can take longer than a moment (import, merge, gc, fsck) takes a [`Control`]. It is cheap to clone,
//! and its clones share one cancel token. A cancelled call leaves exactly what a killed process leaves: nothing that
//! was not published before. What never lives here: threads or buffers themselves, and printing.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// The default memory budget for the buffers of one call, in bytes (32 MiB).
pub const DEFAULT_MEMORY_BUDGET: usize = 32 << 20;

/// What a task does: the caller's bar or log line is chosen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Work {
    /// Copying an archive that cannot be read in place into a temporary file; counts bytes of the copy.
    CopyArchive,
    /// Reading, verifying and storing one layer; counts compressed bytes.
    ImportLayer,
    /// Fetching an artifact's file; counts bytes as they lie in the source.
    FetchArtifact,
    /// Making a layer's record anew from what the store has; counts bytes of tar.
    RebuildLayer,
    /// Reading one layer out of the store and making its blob; counts bytes of tar.
    ExportLayer,
    /// Sending one blob to a registry; counts its bytes.
    PushBlob,
    /// Copying objects to another repository; counts their bytes.
    CopyObjects,
    /// Merging layers into one tree and writing its image; counts entries.
    MergeImage,
    /// Waiting until the file system has everything (the one barrier of a transaction).
    Sync,
    /// Collecting what the refs reach; counts names.
    Mark,
    /// Removing what nothing reaches; counts objects.
    Sweep,
    /// Reading objects and comparing digests; counts bytes.
    Check,
    /// Mending damage; counts objects.
    Repair,
    /// Hashing objects for the index of contents; counts bytes.
    Index,
}

/// The unit that a task counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Entries, objects, names: things that are counted one by one.
    Items,
}

/// One task's number: unique among the clones of one [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u64);

impl TaskId {
    /// The number, for programs that read events.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a long call tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A task began.
    Started {
        /// Its number in the events that follow.
        task: TaskId,
        /// What it does.
        work: Work,
        /// What it does it to: a diff_id, an image's name. For people; empty when there is only one.
        name: String,
        /// How much there is to do, when that is known.
        total: Option<u64>,
        /// The unit of `total` and of `done`.
        unit: Unit,
    },
    /// A task got on; sent at most every few hundred kilobytes, never once a file.
    Advanced {
        /// The task's number.
        task: TaskId,
        /// How much is done of it altogether.
        done: u64,
    },
    /// A task ended well. A failed or cancelled task has no end event: the call's error says it.
    Finished {
        /// The task's number.
        task: TaskId,
    },
    /// There was nothing to do: the store has it already.
    Skipped {
        /// What would have been done.
        work: Work,
        /// To what.
        name: String,
    },
    /// Something worth telling that stops nothing.
    Warning(String),
}

/// The call was cancelled through its [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Cancels the calls that were given the [`Control`] it came from. Any thread or signal handler's helper may hold one.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the calls to stop; they return within some milliseconds. Cannot be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where progress events go: called from worker threads, so it has to be quick and may not block.
pub type ProgressSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Progress sink, cancel token, thread count and memory budget of a long call.
///
/// ```
/// use sealstone_store::control::{Control, Event};
/// use std::sync::{Arc, Mutex};
///
/// let events = Arc::new(Mutex::new(Vec::new()));
/// let sink = Arc::clone(&events);
/// let control = Control::new().with_threads(2).with_progress(Arc::new(move |event: Event| {
///     sink.lock().unwrap().push(event);
/// }));
/// control.warn("the layer's media type says gzip, its bytes say zstd");
/// assert_eq!(events.lock().unwrap().len(), 1);
///
/// control.cancel_token().cancel();
/// assert!(control.check().is_err());
/// ```
#[derive(Clone)]
pub struct Control {
    progress: Option<ProgressSink>,
    cancel: CancelToken,
    threads: NonZeroUsize,
    memory_budget: usize,
    next_task: Arc<AtomicU64>,
}

impl Control {
    /// No progress sink, as many threads as the machine lets us have, [`DEFAULT_MEMORY_BUDGET`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            progress: None,
            cancel: CancelToken::default(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory_budget: DEFAULT_MEMORY_BUDGET,
            next_task: Arc::default(),
        }
    }

    /// Sends events to `sink`.
    #[must_use]
    pub fn with_progress(mut self, sink: ProgressSink) -> Self {
        self.progress = Some(sink);
        self
    }

    /// Uses about this many threads at a time; 0 counts as 1.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Bounds the buffers of the call to about this many bytes. Records that grow with the number of entries, and the
    /// windows of zstd frames, come on top.
    #[must_use]
    pub const fn with_memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// The token that cancels this control's calls.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// How many threads to keep busy, at least 1.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads.get()
    }

    /// How many bytes of buffers a call may hold.
    #[must_use]
    pub const fn memory_budget(&self) -> usize {
        self.memory_budget
    }

    /// Returns early when the caller cancelled: called between pieces of work.
    ///
    /// # Errors
    /// [`Cancelled`] after [`CancelToken::cancel`].
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.cancel.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Announces a task; the returned value reports its progress.
    #[must_use]
    pub fn start(&self, work: Work, name: impl Into<String>, total: Option<u64>, unit: Unit) -> Task {
        let id = TaskId(self.next_task.fetch_add(1, Ordering::Relaxed));
        self.send(Event::Started { task: id, work, name: name.into(), total, unit });
        Task { progress: self.progress.clone(), id, done: 0, told: 0, step: step(unit) }
    }

    /// Tells that there is nothing to do for `name`.
    pub fn skip(&self, work: Work, name: impl Into<String>) {
        self.send(Event::Skipped { work, name: name.into() });
    }

    /// Tells something that stops nothing.
    pub fn warn(&self, text: impl Into<String>) {
        self.send(Event::Warning(text.into()));
    }

    fn send(&self, event: Event) {
        if let Some(sink) = &self.progress {
            sink(event);
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("progress", &self.progress.is_some())
            .field("cancelled", &self.cancel.is_cancelled())
            .field("threads", &self.threads)
            .field("memory_budget", &self.memory_budget)
            .finish_non_exhaustive()
    }
}

/// How much has to be done between two events.
const fn step(unit: Unit) -> u64 {
    match unit {
        Unit::Bytes => 256 << 10,
        Unit::Items => 256,
    }
}

/// One announced task: counts, and tells now and then.
pub struct Task {
    progress: Option<ProgressSink>,
    id: TaskId,
    done: u64,
    told: u64,
    step: u64,
}

impl Task {
    /// The task's number in its events.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// Counts `more` units as done.
    pub fn advance(&mut self, more: u64) {
        self.done = self.done.saturating_add(more);
        if self.done - self.told >= self.step {
            self.told = self.done;
            self.send(Event::Advanced { task: self.id, done: self.done });
        }
    }

    /// Ends the task well. Dropping it instead tells nothing: the call has failed.
    pub fn finish(self) {
        if self.done > self.told {
            self.send(Event::Advanced { task: self.id, done: self.done });
        }
        self.send(Event::Finished { task: self.id });
    }

    fn send(&self, event: Event) {
        if let Some(sink) = &self.progress {
            sink(event);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).field("done", &self.done).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_task_tells_its_start_its_steps_and_its_end() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let control = Control::new().with_progress(Arc::new(move |event| sink.lock().unwrap().push(event)));
        let mut task = control.start(Work::Check, "objects", Some(1 << 20), Unit::Bytes);
        let id = task.id();
        task.advance(10);
        task.advance(1 << 20);
        task.advance(5);
        task.finish();
        let events = events.lock().unwrap();
        assert!(matches!(events.first(), Some(Event::Started { total: Some(1_048_576), .. })));
        assert_eq!(
            &events[1..],
            &[
                Event::Advanced { task: id, done: (1 << 20) + 10 },
                Event::Advanced { task: id, done: (1 << 20) + 15 },
                Event::Finished { task: id }
            ]
        );
    }

    #[test]
    fn cancelling_one_clone_cancels_all() {
        let control = Control::new();
        let clone = control.clone();
        assert_eq!(clone.check(), Ok(()));
        control.cancel_token().cancel();
        assert_eq!(clone.check(), Err(Cancelled));
    }
}
