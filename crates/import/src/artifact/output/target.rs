//! [`Target`]: what a path names that an artifact is to be written to: a file, there or not, or a block device.

use std::{path::Path, sync::Arc};

use sealstone_store::{
    Error as StoreError, Optional,
    disk::{Access, Dir, Disk, FileType, Resolve},
};

use rustix::io::Errno;

use super::{ArtifactOutput, FileOutput, device::DeviceOutput};
use crate::{
    artifact::Artifact,
    error::{ImportError, Result},
};

/// Symlinks followed, as by the kernel.
const LINKS: usize = 40;

/// A place for an artifact's file.
#[derive(Debug)]
pub struct Target {
    dir: Dir,
    name: String,
    is_device: bool,
}

impl Target {
    /// Looks at what is there; changes nothing. Symlinks of the user's are followed.
    ///
    /// # Errors
    /// When the folder is not there, or the path is that of a folder, a pipe, a socket or a character device.
    pub fn look(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let refuse = |path: &Path, reason| Err(ImportError::unsupported(path.display().to_string(), reason));
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let (Some(name), Some(parent)) = (name, path.parent()) else {
                return refuse(&path, "it names no file, or not in UTF-8");
            };
            let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let dir = Dir::open(disk, folder)?;
            let kind = dir.metadata(&name).optional()?.map(|metadata| metadata.kind);
            match kind {
                Some(FileType::Symlink) => path = folder.join(dir.read_link(&name)?),
                Some(FileType::Directory) => return refuse(&path, "it is a folder: name a file in it"),
                Some(FileType::BlockDevice) => return Ok(Self { dir, name, is_device: true }),
                None | Some(FileType::File) => return Ok(Self { dir, name, is_device: false }),
                Some(FileType::CharDevice | FileType::Fifo | FileType::Socket | FileType::Other) => {
                    return refuse(&path, "it is neither a file nor a block device");
                }
            }
        }
        refuse(&path, "it leads through too many symlinks")
    }

    /// Whether it is a block device, on which only a disk's own bytes make sense.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        self.is_device
    }

    /// Opens it for an artifact whose body is written as it lies, or unpacked.
    ///
    /// # Errors
    /// When it cannot be written; [`Busy`](sealstone_store::Error::Busy) when a device is mounted or otherwise in use.
    pub fn open(&self, artifact: &Artifact, is_plain: bool) -> Result<Box<dyn ArtifactOutput>> {
        if !self.is_device {
            return Ok(Box::new(FileOutput::new(&self.dir, &self.name, artifact.body.digest(), is_plain)?));
        }
        match self.dir.open_file_with(&self.name, Access::Device, Resolve::NoSymlinks) {
            Ok(device) => Ok(Box::new(DeviceOutput::new(device))),
            Err(error) if error.errno() == Some(Errno::BUSY) => {
                let holder = Some("a mount, or something else that holds it".to_owned());
                Err(StoreError::Busy { path: self.dir.label().join(&self.name), holder }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
