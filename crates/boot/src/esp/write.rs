//! The durable writes of a boot partition, step by step (rule D9).
//!
//! What lives here: putting a file, replacing one. What does not: folders, names and paths.
//! Why these steps (measured on Linux' vfat): a rename to a new name first makes an empty entry durable, and only
//! syncing the file makes its size so; syncfs sends no cache flush. So a file is made under its final name, synced, and
//! its directory after it. Only what has one name that firmware looks for is replaced by a rename, in its own order.

use std::{panic::resume_unwind, thread};

use sealstone_store::{
    Optional,
    disk::{Dir, File, Rename},
};
use sha2::{Digest, Sha256};

use super::remove::remove_file;
use crate::{Blob, BootError, SIDE_BY_SIDE, blob::read_file};

/// Puts a file with this content in a folder, durably. A whole copy is kept; anything else of that name is half a write of an
/// earlier run, and makes way.
pub(super) fn put_file(folder: &Dir, name: &str, blob: &Blob) -> Result<(), BootError> {
    let file = place(folder, name, blob)?;
    confirm(folder, name, file.as_ref(), blob)
}

/// The same of two files. A large one is read back while the other is written.
pub(super) fn put_files(folder: &Dir, files: [(&str, &Blob); 2]) -> Result<(), BootError> {
    let [(name, blob), (next_name, next)] = files;
    let first = place(folder, name, blob)?;
    let confirm_first = || confirm(folder, name, first.as_ref(), blob);
    let second = if blob.size() < SIDE_BY_SIDE {
        confirm_first()?;
        place(folder, next_name, next)?
    } else {
        let (confirmed, second) = thread::scope(|scope| {
            let confirmed = scope.spawn(confirm_first);
            let second = place(folder, next_name, next);
            // A panic goes on here.
            (confirmed.join().unwrap_or_else(|panic| resume_unwind(panic)), second)
        });
        confirmed?;
        second?
    };
    confirm(folder, next_name, second.as_ref(), next)
}

/// Writes a file, unless a whole copy is there; what was written is still to be [confirmed](confirm).
fn place(folder: &Dir, name: &str, blob: &Blob) -> Result<Option<File>, BootError> {
    if let Some(file) = folder.open_file(name).optional()? {
        if blob.is_copy(&file)? {
            settle(folder, &file)?;
            return Ok(None);
        }
        remove_file(folder, name)?;
    }
    let written = write_new(folder, name, blob);
    if written.is_err() {
        // What is half written (no space) is only in the way of the next try, so whether this works does not matter.
        let _ = remove_file(folder, name);
    }
    written.map(Some)
}

/// D9 (1): a new name, exclusive; write; sync the file; sync the directory.
///
/// Linux' vfat, asked to sync a file, writes its entry before the table of clusters: a cut in between leaves an entry that leads
/// to clusters which are not the file's, and to read or remove it makes the file system read-only. Syncing the folder writes
/// the table as well, while the file's entry in it is still that of an empty one: so that comes first.
fn write_new(folder: &Dir, name: &str, blob: &Blob) -> Result<File, BootError> {
    let file = folder.create_new(name, 0o644)?;
    blob.copy_to(&file)?;
    folder.sync()?;
    settle(folder, &file)?;
    Ok(file)
}

/// D9 (1): read back and compare what was written, if anything was.
fn confirm(folder: &Dir, name: &str, written: Option<&File>, blob: &Blob) -> Result<(), BootError> {
    let Some(file) = written else { return Ok(()) };
    let same = read_back(file, blob);
    if same.is_err() {
        // As above.
        let _ = remove_file(folder, name);
    }
    same
}

fn read_back(file: &File, blob: &Blob) -> Result<(), BootError> {
    // The cache lets go of what is clean, so that the comparison reads the medium where it can.
    file.start_writeback(0, blob.size())?;
    file.start_reading(0, blob.size())?;
    if blob.is_copy(file)? {
        return Ok(());
    }
    // Whose fault it is: what is damaged in the store is told by its own name.
    blob.read(|_, _| Ok(()))?;
    let reason = "it does not read back as it was written".into();
    Err(BootError::Corrupt { what: file.label().display().to_string(), reason })
}

/// Replaces a file whose name cannot change, since firmware looks for it.
///
/// D9: the new content gets a name of its own first, whole and read back, and then takes the name. What Linux' vfat does at
/// such a rename decides the order:
/// - The entry of the name stays in its place and points to the old clusters until the *file* is written: old or new, never
///   empty. The old clusters are given back once nobody has the old file open, and that may reach the disk before the entry
///   does; so it stays open until the entry is durable.
/// - The entry of the name before is struck out in the same folder. If it were not, while the other already points to the
///   same clusters, removing it later would free what boots. A boot loader's folder has few names and the temporary one is
///   short, so both entries are in the folder's first sector, which is written as one; and a leftover that equals what is
///   there is never removed.
pub(super) fn replace_file(folder: &Dir, name: &str, blob: &Blob) -> Result<(), BootError> {
    let Some(old) = folder.open_file(name).optional()? else {
        return put_file(folder, name, blob);
    };
    if blob.is_copy(&old)? {
        return settle(folder, &old);
    }
    if old.metadata()?.size == 0 {
        // Half a write of an earlier run: it boots nothing.
        return put_file(folder, name, blob);
    }
    let temporary = free_temporary(folder, name, &old)?;
    put_file(folder, &temporary, blob)?;
    folder.rename(&temporary, folder, name, Rename::Replace)?;
    // The folder first, in which the temporary name is gone then; the file after it, whose entry changes with it.
    folder.sync()?;
    let new = folder.open_file(name)?;
    settle(folder, &new)?;
    drop(old);
    read_back(&new, blob)
}

/// A name beside this one for the new content. One that is there with the old content may share its clusters, so it is not
/// touched.
fn free_temporary(folder: &Dir, name: &str, old: &File) -> Result<String, BootError> {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let stem: String = stem.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let digest = |file: &File| -> Result<_, BootError> {
        let mut hasher = Sha256::new();
        read_file(file, |piece| hasher.update(piece))?;
        Ok(hasher.finalize())
    };
    for number in 0..100_u32 {
        let temporary = format!("{stem}.N{number:02}");
        let Some(there) = folder.open_file(&temporary).optional()? else { return Ok(temporary) };
        if there.metadata()?.size != old.metadata()?.size || digest(&there)? != digest(old)? {
            return Ok(temporary);
        }
    }
    let found = vec![format!("{stem}.N00"), format!("{stem}.N99")];
    Err(BootError::Ambiguous { what: "leftover of a boot loader's update", found })
}

fn settle(folder: &Dir, file: &File) -> Result<(), BootError> {
    // D9 (5): the file first, or an empty entry becomes durable; then the name.
    file.sync()?;
    Ok(folder.sync()?)
}
