//! [`Located`]: where a path of the user's leads, and what is there.
//!
//! For what a user names as a place to write: a file that is there or not, or a device, which is named by links below
//! `/dev/disk`. Never for what an image names. The last name is a symlink no more, so what is opened is what was looked at.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;

use super::{Access, Dir, Disk, File, FileType, Resolve};
use crate::error::{Error, Optional, Result};

/// Symlinks that may lead to one file, as many as the kernel follows.
pub(super) const LINKS: usize = 40;

/// The place that a path leads to.
#[derive(Clone, Debug)]
pub struct Located {
    /// The folder.
    pub dir: Dir,
    /// The name in it.
    pub name: OsString,
    /// What is there, if anything: never a symlink.
    pub kind: Option<FileType>,
}

impl Located {
    /// Follows the symlinks from a path.
    ///
    /// # Errors
    /// When a folder on the way is not there, or symlinks lead in a circle (ELOOP).
    pub fn find(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let (dir, name) = split(disk, &path)?;
            let kind = dir.metadata(&name).optional()?.map(|metadata| metadata.kind);
            if kind != Some(FileType::Symlink) {
                return Ok(Self { dir, name, kind });
            }
            path = dir.label().join(dir.read_link(&name)?);
        }
        Err(Error::at("open", &path, Errno::LOOP))
    }

    /// The whole path, for messages.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.label().join(&self.name)
    }

    /// Whether it is a block device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.kind == Some(FileType::BlockDevice)
    }

    /// Opens the device that it is, for this process alone.
    ///
    /// # Errors
    /// [`Error::Busy`] when it is mounted, or something else holds it.
    pub fn open_device(&self) -> Result<File> {
        match self.dir.open_file_with(&self.name, Access::Device, Resolve::NoSymlinks) {
            Err(error) if error.errno() == Some(Errno::BUSY) => {
                let holder = Some("a mount, or something else that holds it".to_owned());
                Err(Error::Busy { path: self.path(), holder })
            }
            other => other,
        }
    }
}

/// The folder and the name of a path; one that ends in no name (`/`, `..`) is that of a folder in itself.
fn split(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Dir, OsString)> {
    let Some(name) = path.file_name() else { return Ok((Dir::open(disk, path)?, ".".into())) };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(disk, folder)?, name.to_owned()))
}
