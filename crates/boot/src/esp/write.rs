//! The durable writes of a boot partition, step by step (rule D9).
//!
//! What lives here: making a folder, putting a file, replacing one. What does not: names and paths.
//! Why these steps (measured on Linux' vfat): a rename to a new name first makes an empty entry durable, and only
//! syncing the file makes its size so; syncfs sends no cache flush. So a file is made under its final name, synced, and
//! its directory after it. Only what has one name that firmware looks for is replaced by a rename, in its own order.

use sealstone_store::{
    Optional,
    disk::{Dir, File, Rename},
};
use sha2::{Digest, Sha256};

use crate::{Blob, BootError, blob::read_file};

/// Opens a folder, made first if it is missing.
pub(super) fn ensure_dir(parent: &Dir, name: &str) -> Result<Dir, BootError> {
    if let Some(dir) = parent.open_dir(name).optional()? {
        return Ok(dir);
    }
    let dir = parent.ensure_dir(name, 0o755)?;
    // D3: a new directory is durable when its parent is synced.
    parent.sync()?;
    Ok(dir)
}

/// Puts a file with this content in a folder, durably. A whole copy is kept; anything else of that name is half a write of an
/// earlier run, and makes way.
pub(super) fn put_file(folder: &Dir, name: &str, blob: &Blob) -> Result<(), BootError> {
    put(folder, name, blob, false)
}

/// The same of what was checked against its id by this process, and is not hashed again.
pub(super) fn put_checked_file(folder: &Dir, name: &str, blob: &Blob) -> Result<(), BootError> {
    put(folder, name, blob, true)
}

fn put(folder: &Dir, name: &str, blob: &Blob, is_checked: bool) -> Result<(), BootError> {
    if let Some(file) = folder.open_file(name).optional()? {
        if blob.is_copy(&file)? {
            if !is_checked {
                blob.check()?;
            }
            return settle(folder, &file);
        }
        folder.remove_file(name)?;
        folder.sync()?;
    }
    let written = write_new(folder, name, blob, is_checked);
    if written.is_err() {
        // What is half written (no space) is only in the way of the next try, so whether this works does not matter.
        let _ = folder.remove_file(name);
    }
    written
}

/// D9 (1): a new name, exclusive; write; sync the file; sync the directory; read back and compare.
fn write_new(folder: &Dir, name: &str, blob: &Blob, is_checked: bool) -> Result<(), BootError> {
    let file = folder.create_new(name, 0o644)?;
    if is_checked {
        blob.copy_unchecked(&file)?;
    } else {
        blob.read(|offset, piece| file.write_all_at(offset, piece))?;
    }
    settle(folder, &file)?;
    read_back(&file, blob)
}

fn read_back(file: &File, blob: &Blob) -> Result<(), BootError> {
    // The cache lets go of what is clean, so that the comparison reads the medium where it can.
    file.start_writeback(0, blob.size())?;
    if blob.is_copy(file)? {
        return Ok(());
    }
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
        blob.check()?;
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
