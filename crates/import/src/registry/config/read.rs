//! Reading configuration from a disk: small files, by paths of the machine, through the symlinks that machines have.
//!
//! What never lives here: which paths there are, and what the bytes mean.

use std::{ffi::OsString, path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_store::{
    Optional,
    disk::{Dir, Disk},
};

use crate::{
    Limits,
    error::{ImportError, Result},
};

/// Symlinks that lead to one file, as many as the kernel follows.
const LINKS: usize = 40;

/// The content of a file of at most `config_bytes`, through symlinks; `None` when it is not there.
pub(in crate::registry) fn file(
    disk: &Arc<dyn Disk>,
    path: &Path,
    limits: &Limits,
) -> Result<Option<Vec<u8>>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(ImportError::config(path.display().to_string(), "it names no file"));
        };
        let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let Some(dir) = Dir::open(disk, folder).optional()? else { return Ok(None) };
        match dir.open_file(name).optional() {
            Ok(None) => return Ok(None),
            Ok(Some(file)) => return Ok(Some(file.read_all(limits.config_bytes)?)),
            Err(error) if error.errno() == Some(Errno::LOOP) => path = folder.join(dir.read_link(name)?),
            Err(error) => return Err(error.into()),
        }
    }
    Err(ImportError::config(path.display().to_string(), "symlinks lead to it in a circle"))
}

/// The names in a folder, sorted; `None` when it is not there.
pub(super) fn names(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Option<Vec<OsString>>> {
    let Some(dir) = Dir::open(disk, folder).optional()? else { return Ok(None) };
    let mut names: Vec<_> = dir.read_dir()?.into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    Ok(Some(names))
}
