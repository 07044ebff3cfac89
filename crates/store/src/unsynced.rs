//! [`Unsynced`]: the mark of a transaction whose objects may still be only in memory.
//!
//! An object gets its name before the barrier, so a power cut can leave one of the right size with the wrong content:
//! nothing reaches it, but the next import of the same content would take it for good (rule D4). So a transaction makes
//! a mark before its first object, for good, and removes it after the barrier. A transaction that finds the mark of
//! another one reads each object before it reuses it. gc removes marks, after all that nothing reaches.
//!
//! What does not live here: how an object is read and replaced. A repository whose objects the kernel guards needs no
//! marks: an object is sealed, and its content on the disk, before it gets a name.

use std::sync::{Mutex, PoisonError};

use crate::{Repository, Result, Verity, disk::Dir, error::Optional, layout};

/// The mark of one transaction, made when it is needed.
#[derive(Default)]
pub(crate) struct Unsynced(Mutex<Option<(Dir, String)>>);

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
        let name = repository.staging()?.create_mark(&folder)?;
        folder.sync()?;
        *mark = Some((folder, name));
        Ok(())
    }

    /// Removes the mark, after the barrier. It need not be gone for good: one too many costs time, no more.
    pub(crate) fn clear(&self) -> Result<()> {
        let mark = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        mark.map_or(Ok(()), |(folder, name)| folder.remove_file(name))
    }
}

/// Whether another transaction's objects may be damaged, because it was cut off or is not done yet.
pub(crate) fn found(repository: &Repository) -> Result<bool> {
    Ok(marks(repository)?.is_some_and(|(_, names)| !names.is_empty()))
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
