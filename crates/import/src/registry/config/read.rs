//! Reading configuration from a disk: small files, by paths of the machine, through the symlinks that machines have.
//!
//! What never lives here: which paths there are, and what the bytes mean.

use std::{ffi::OsString, path::Path, sync::Arc};

use sealstone_store::{
    Optional,
    disk::{Dir, Disk, File},
};

use crate::{
    Limits,
    error::{ImportError, Result},
};

/// The content of a file of at most `config_bytes`, through symlinks; `None` when it is not there.
pub(in crate::registry) fn file(
    disk: &Arc<dyn Disk>,
    path: &Path,
    limits: &Limits,
) -> Result<Option<Vec<u8>>> {
    if path.file_name().is_none() {
        return Err(ImportError::config(path.display().to_string(), "it names no file"));
    }
    match File::open(disk, path).optional()? {
        Some(file) => Ok(Some(file.read_all(limits.config_bytes)?)),
        None => Ok(None),
    }
}

/// The names in a folder, sorted; `None` when it is not there.
pub(super) fn names(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Option<Vec<OsString>>> {
    let Some(dir) = Dir::open(disk, folder).optional()? else { return Ok(None) };
    let mut names: Vec<_> = dir.read_dir()?.into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    Ok(Some(names))
}
