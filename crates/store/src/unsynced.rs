//! [`Unsynced`]: the mark of a transaction whose objects may still be only in memory.
//!
//! An object gets its name before the barrier, so a power cut can leave one of the right size with the wrong content:
//! nothing reaches it, but the next import of the same content would take it for good (rule D4). So a transaction makes
//! a mark before its first object, for good, and removes it after a barrier. A transaction that finds the mark of one
//! that was killed reads each object before it reuses it. gc removes marks, after all that nothing reaches.
//!
//! The mark's file is locked while its transaction lives (flock(2)). A locked mark makes nobody read: who holds the lock
//! lives, so there was no power cut; its objects are in the kernel's cache of this very mount (on another mount the
//! file is another inode, and not locked), and the own barrier covers them (D6) or tells that writing them failed.
//!
//! What does not live here: how an object is read and replaced. A repository whose objects the kernel guards needs no
//! marks: an object is sealed, and its content on the disk, before it gets a name.

use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use crate::{
    Repository, Result, Verity,
    disk::{Access, Dir, File, Lock, Resolve, Wait},
    error::Optional,
    layout,
};

/// The mark of one transaction, made when it is needed.
#[derive(Default)]
pub(crate) struct Unsynced(Mutex<Option<Mark>>);

struct Mark {
    folder: Dir,
    name: String,
    /// Holds the lock.
    _file: File,
}

impl Unsynced {
    /// Makes the mark, once; it is durable when this returns.
    pub(crate) fn mark(&self, repository: &Repository) -> Result<()> {
        let mut mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mark.is_some() || repository.verity() == Verity::Required {
            return Ok(());
        }
        let own = repository.dir().open_dir(layout::OWN)?;
        let folder = if let Some(folder) = own.open_dir(layout::UNSYNCED).optional()? {
            folder
        } else {
            let folder = repository.staging()?.ensure_folder(&own, layout::UNSYNCED)?;
            own.sync()?;
            // The folder of all that is ours may be as new.
            repository.dir().sync()?;
            folder
        };
        let (file, name) = repository.staging()?.create_mark(&folder)?;
        // Whoever looks in between takes us for dead, and reads more than it need.
        file.lock(Lock::Exclusive, Wait::Try)?;
        folder.sync()?;
        *mark = Some(Mark { folder, name, _file: file });
        Ok(())
    }

    /// Whether there is a mark of ours.
    pub(crate) fn is_made(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Removes the mark, after the barrier. It need not be gone for good: one too many costs time, no more.
    pub(crate) fn clear(&self) -> Result<()> {
        let mark = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        mark.map_or(Ok(()), |mark| mark.folder.remove_file(mark.name))
    }
}

/// Whether objects may be damaged, because a transaction was cut off before its barrier.
pub(crate) fn found(repository: &Repository) -> Result<bool> {
    let Some((folder, names)) = marks(repository)? else { return Ok(false) };
    for name in names {
        // Gone meanwhile: that transaction came to its barrier.
        let Some(file) = folder.open_file_with(&name, Access::Read, Resolve::NoSymlinks).optional()? else {
            continue;
        };
        match file.lock(Lock::Exclusive, Wait::Try) {
            Err(error) if error.errno() == Some(Errno::WOULDBLOCK) => {}
            other => return other.map(|()| true),
        }
    }
    Ok(false)
}

/// Removes all marks: for gc, which lets nobody write meanwhile and has removed all objects that no name reaches.
pub(crate) fn clear_all(repository: &Repository) -> Result<()> {
    let Some((folder, names)) = marks(repository)?.filter(|(_, names)| !names.is_empty()) else {
        return Ok(());
    };
    // What was removed must not come back without its mark.
    repository.dir().sync_file_system()?;
    names.iter().try_for_each(|name| folder.remove_file(name))
}

fn marks(repository: &Repository) -> Result<Option<(Dir, Vec<std::ffi::OsString>)>> {
    let Some(own) = repository.dir().open_dir(layout::OWN).optional()? else { return Ok(None) };
    let Some(folder) = own.open_dir(layout::UNSYNCED).optional()? else { return Ok(None) };
    let names = folder.read_dir()?.into_iter().map(|entry| entry.name).collect();
    Ok(Some((folder, names)))
}
