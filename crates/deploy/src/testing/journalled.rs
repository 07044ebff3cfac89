//! A boot partition with a journal, as a disk that says so of the folder `esp`; and as a boot loader sees it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use sealstone_store::disk::{Call, Dir, Disk, FsType, Reply};

/// What comes of emptying the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emptying {
    /// All is in its place.
    Works,
    /// It says so, and nothing is: what a test must find.
    Lies,
    /// It fails.
    Fails(Errno),
}

/// Passes calls on, but for those that tell of a boot partition's file system. No sync of a file or a folder on it comes
/// through: that reaches the journal alone, which nobody replays. An emptied journal is a sync of the file system.
pub(crate) struct Journalled {
    inner: Arc<dyn Disk>,
    esp: PathBuf,
    emptying: Emptying,
    /// Whether it is a partition of its own.
    is_apart: bool,
}

impl Journalled {
    /// Of the machine in the folder `root`.
    pub(crate) fn new(inner: Arc<dyn Disk>, root: &Path, emptying: Emptying) -> Arc<Self> {
        Arc::new(Self { inner, esp: root.join("esp"), emptying, is_apart: true })
    }

    /// The same, mounted from the file system that the sysroot is on.
    pub(crate) fn of_the_sysroot(inner: Arc<dyn Disk>, root: &Path) -> Arc<Self> {
        Arc::new(Self { inner, esp: root.join("esp"), emptying: Emptying::Works, is_apart: false })
    }

    fn is_root(&self, dir: &Dir) -> bool {
        dir.label() == self.esp
    }
}

impl Disk for Journalled {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::FsType { dir } if self.is_root(dir) => Ok(Reply::FsType(FsType::Xfs)),
            Call::Metadata { dir, name } if self.is_root(dir) && name.as_os_str().is_empty() => {
                let Reply::Metadata(mut own) = self.inner.call(call)? else { return Err(Errno::PROTO) };
                own.mount_root = true;
                if self.is_apart {
                    own.device = (7, 77);
                }
                Ok(Reply::Metadata(own))
            }
            Call::SyncFile { file } if file.label().starts_with(&self.esp) => Ok(Reply::Done),
            Call::SyncDir { dir } if dir.label().starts_with(&self.esp) => Ok(Reply::Done),
            Call::EmptyJournal { dir } => match self.emptying {
                Emptying::Works => self.inner.call(&mut Call::SyncFs { dir }),
                Emptying::Lies => Ok(Reply::Done),
                Emptying::Fails(errno) => Err(errno),
            },
            _ => self.inner.call(call),
        }
    }
}
