//! [`RecordingDisk`]: passes every call on and keeps an owned record of it, so that tests can hold the order and the
//! number of calls.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::io::Errno;

use super::{Call, Disk, Reply};

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The call's name as in [`Call`]: `LinkFile`, `SyncDir`.
    pub name: &'static str,
    /// What it changed or looked at.
    pub path: PathBuf,
    /// Where it came from (rename, hard link) or what it says (the text of a symlink).
    pub other: Option<PathBuf>,
    /// How it failed, if it did.
    pub error: Option<Errno>,
}

/// A disk that remembers what was asked of another one.
pub struct RecordingDisk {
    inner: Arc<dyn Disk>,
    log: Mutex<Vec<Recorded>>,
}

impl RecordingDisk {
    /// Records the calls to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self { inner, log: Mutex::default() })
    }

    /// The calls since the last [`RecordingDisk::clear`], in order of completion.
    #[must_use]
    pub fn log(&self) -> Vec<Recorded> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many calls of this name there were.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|call| call.name == name)
            .count()
    }

    /// Where in the log the first call of this name is whose path ends so.
    #[must_use]
    pub fn position(&self, name: &str, path_end: impl AsRef<Path>) -> Option<usize> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().position(|call| call.name == name && call.path.ends_with(path_end.as_ref()))
    }
}

impl Disk for RecordingDisk {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        let other = match call {
            Call::Rename { dir, name, .. } | Call::HardLink { dir, name, .. } => Some(dir.label().join(name)),
            Call::Symlink { target, .. } => Some(target.to_path_buf()),
            _ => None,
        };
        let (name, path) = (call.name(), call.path());
        let result = self.inner.call(call);
        let error = result.as_ref().err().copied();
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(Recorded { name, path, other, error });
        result
    }
}
