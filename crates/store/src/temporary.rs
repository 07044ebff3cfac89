//! [`Temporary`]: a file that is written but not published yet.
//!
//! Where the file system has `O_TMPFILE` the file has no name, and a killed process leaves nothing (rule D4). Elsewhere
//! it has a name in the repository's temporary folder; dropping it removes the name, and gc removes what a killed
//! process left. Publishing never overwrites; only [`Temporary::replace`] does.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::io::Errno;

use crate::{
    Algorithm, Error, ObjectId, Result,
    disk::{Dir, File, Rename},
    layout,
};

/// How often sealing is tried while another thread's fork has a copy of the writing descriptor, and the pause between.
const SEAL_TRIES: u32 = 50;
const SEAL_PAUSE: Duration = Duration::from_millis(2);

/// Where temporary files are made, and how.
pub(crate) struct Staging {
    /// The folder of temporary names.
    pub(crate) dir: Dir,
    /// Whether the file system has `O_TMPFILE`.
    unnamed: bool,
    /// Whether the umask takes bits of the modes away, so that they have to be set.
    pub(crate) masked: bool,
    next: AtomicU64,
}

impl Staging {
    /// Opens (or makes) the temporary folder below `own`, and finds out what its file system and our umask do.
    pub(crate) fn open(own: &Dir) -> Result<Self> {
        let dir = own.ensure_dir(layout::TEMPORARY, layout::FOLDER_MODE)?;
        let (unnamed, masked) = match dir.create_temp(layout::OBJECT_MODE) {
            Ok(file) => (true, file.metadata()?.mode != layout::OBJECT_MODE),
            Err(error) if is_unsupported(&error) => (false, true),
            Err(error) => return Err(error),
        };
        let next = AtomicU64::new(u64::from(std::process::id()) << 32);
        Ok(Self { dir, unnamed, masked, next })
    }

    /// A name that nobody in this folder has, in all likelihood: making something under it checks.
    fn fresh_name(&self) -> String {
        format!("{:016x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A new empty file of this mode, on the file system of `near` (close to its inodes, if it has no name).
    pub(crate) fn create(self: &Arc<Self>, near: &Dir, mode: u16) -> Result<Temporary> {
        let temporary = if self.unnamed {
            Temporary { staging: Arc::clone(self), file: near.create_temp(mode)?, name: None }
        } else {
            let (file, name) = self.with_fresh_name(|name| self.dir.create_new(name, mode))?;
            Temporary { staging: Arc::clone(self), file, name: Some(name) }
        };
        if self.masked {
            temporary.file.set_mode(mode)?;
        }
        Ok(temporary)
    }

    /// Opens a folder of the repository, made first if it is missing, with the right mode whatever the umask is.
    pub(crate) fn ensure_folder(&self, parent: &Dir, name: &str) -> Result<Dir> {
        Ok(self.make_folder(parent, name)?.0)
    }

    /// The same, and whether it was made by this very call.
    pub(crate) fn make_folder(&self, parent: &Dir, name: &str) -> Result<(Dir, bool)> {
        let is_new = match parent.create_dir(name, layout::FOLDER_MODE) {
            Ok(()) if self.masked => parent.set_mode(name, layout::FOLDER_MODE).map(|()| true)?,
            Ok(()) => true,
            Err(error) if error.errno() == Some(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        Ok((parent.open_dir(name)?, is_new))
    }

    /// Makes a symlink and moves it to its place, over what is there. The caller syncs both folders (rule D3).
    pub(crate) fn place_symlink(&self, text: &str, dir: &Dir, name: &str) -> Result<()> {
        let ((), temporary) = self.with_fresh_name(|temporary| self.dir.symlink(text, temporary))?;
        let moved = self.dir.rename(&temporary, dir, name, Rename::Replace);
        if moved.is_err() {
            drop(self.dir.remove_file(&temporary));
        }
        moved
    }

    /// Makes an empty file under a fresh name in another folder, and gives both.
    pub(crate) fn create_mark(&self, dir: &Dir) -> Result<(File, String)> {
        self.with_fresh_name(|name| dir.create_new(name, layout::OBJECT_MODE))
    }

    fn with_fresh_name<T>(&self, make: impl Fn(&str) -> Result<T>) -> Result<(T, String)> {
        loop {
            let name = self.fresh_name();
            match make(&name) {
                Err(error) if error.errno() == Some(Errno::EXIST) => {}
                other => return Ok((other?, name)),
            }
        }
    }
}

/// How a publication went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The name is ours now.
    New,
    /// The name was there; nothing was changed.
    Exists,
}

/// A file without its final name.
pub(crate) struct Temporary {
    staging: Arc<Staging>,
    pub(crate) file: File,
    /// Its temporary name, for as long as it has it: another user of the folder may take a name as soon as it is free.
    name: Option<String>,
}

impl Temporary {
    /// Enables fs-verity and checks that the kernel computed the same digest (rule D7). Nothing can be written after.
    pub(crate) fn seal(mut self, algorithm: Algorithm, expected: &ObjectId) -> Result<Self> {
        self.file = self.file.reopen_read_only()?;
        let mut tries = 0;
        loop {
            match self.file.enable_verity(algorithm) {
                // A fork between our open and its exec keeps the writing descriptor for a moment.
                Err(error) if error.errno() == Some(Errno::TXTBSY) && tries < SEAL_TRIES => {
                    tries += 1;
                    thread::sleep(SEAL_PAUSE);
                }
                other => break other?,
            }
        }
        match self.file.measure_verity()? {
            Some(measured) if measured == *expected => Ok(self),
            measured => Err(Error::Verity {
                what: format!("object {expected}"),
                reason: measured.map_or_else(
                    || "the kernel measures nothing after enabling it".to_owned(),
                    |measured| format!("the kernel measures {measured}"),
                ),
            }),
        }
    }

    /// Gives the file its name, unless that is taken.
    pub(crate) fn publish(mut self, dir: &Dir, name: &Path) -> Result<Published> {
        let linked = match &self.name {
            None => dir.link(&self.file, name),
            // D4: the fallback. A link as well, since not every such file system has RENAME_NOREPLACE; the temporary
            // name goes when this is dropped.
            Some(temporary) => match self.staging.dir.hard_link(temporary, dir, name) {
                Err(error) if error.errno() != Some(Errno::EXIST) => {
                    let moved = self.staging.dir.rename(temporary, dir, name, Rename::NoReplace);
                    if moved.is_ok() {
                        self.name = None;
                    }
                    moved
                }
                other => other,
            },
        };
        match linked {
            Ok(()) => Ok(Published::New),
            Err(error) if error.errno() == Some(Errno::EXIST) => Ok(Published::Exists),
            Err(error) => Err(error),
        }
    }

    /// Gives the file its name, atomically taking the place of what is there.
    pub(crate) fn replace(mut self, dir: &Dir, name: &Path) -> Result<()> {
        if self.name.is_none() {
            let link = |fresh: &str| self.staging.dir.link(&self.file, fresh);
            self.name = Some(self.staging.with_fresh_name(link)?.1);
        }
        let temporary = self.name.as_deref().unwrap_or_default();
        self.staging.dir.rename(temporary, dir, name, Rename::Replace)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What stays after a failure here is litter that gc removes.
        if let Some(name) = &self.name {
            drop(self.staging.dir.remove_file(name));
        }
    }
}

/// Whether the error says that the file system has no unnamed files (open(2), `O_TMPFILE`).
fn is_unsupported(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT | Errno::NOSYS | Errno::NOTTY)
    )
}
