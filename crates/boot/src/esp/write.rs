//! The durable writes of a boot partition, step by step (rule D9).
//!
//! What lives here: making a folder, putting a file. What does not: names and paths.
//! Why these steps (measured on Linux' vfat): a rename to a new name first makes an empty entry durable, and only
//! syncing the file makes its size so; syncfs sends no cache flush. So a file is made under its final name, synced, and
//! its directory after it; renames are never used.

use sealstone_store::{
    Optional,
    disk::{Dir, File},
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

/// Puts a file with this content in a folder, durably, and adds its bytes to the hasher. A whole copy is kept; anything
/// else of that name is half a write of an earlier run, and makes way.
pub(super) fn put_file(folder: &Dir, name: &str, blob: &Blob, hasher: &mut Sha256) -> Result<(), BootError> {
    if let Some(file) = folder.open_file(name).optional()? {
        if is_whole(&file, blob)? {
            blob.read(|_, piece| {
                hasher.update(piece);
                Ok(())
            })?;
            return settle(folder, &file);
        }
        folder.remove_file(name)?;
        folder.sync()?;
    }
    let written = write_new(folder, name, blob, hasher);
    if written.is_err() {
        // What is half written (no space) is only in the way of the next try, so whether this works does not matter.
        let _ = folder.remove_file(name);
    }
    written
}

/// D9 (1): a new name, exclusive; write; sync the file; sync the directory; read back and compare.
fn write_new(folder: &Dir, name: &str, blob: &Blob, hasher: &mut Sha256) -> Result<(), BootError> {
    let file = folder.create_new(name, 0o644)?;
    blob.read(|offset, piece| {
        hasher.update(piece);
        file.write_all_at(offset, piece)
    })?;
    settle(folder, &file)?;
    // The cache lets go of what is clean, so that the comparison reads the medium where it can.
    file.start_writeback(0, blob.size())?;
    if is_whole(&file, blob)? {
        return Ok(());
    }
    let reason = "it does not read back as it was written".into();
    Err(BootError::Corrupt { what: file.label().display().to_string(), reason })
}

fn settle(folder: &Dir, file: &File) -> Result<(), BootError> {
    // D9 (5): the file first, or an empty entry becomes durable; then the name.
    file.sync()?;
    Ok(folder.sync()?)
}

/// Whether a file has exactly this content.
fn is_whole(file: &File, blob: &Blob) -> Result<bool, BootError> {
    if file.metadata()?.size != blob.size() {
        return Ok(false);
    }
    let (mut there, mut wanted) = (Sha256::new(), Sha256::new());
    read_file(file, |piece| there.update(piece))?;
    blob.read(|_, piece| {
        wanted.update(piece);
        Ok(())
    })?;
    Ok(there.finalize() == wanted.finalize())
}
