//! [`Target`]: what a path names that an artifact is to be written to: a file, there or not, or a block device.

use std::{path::Path, sync::Arc};

use sealstone_store::disk::{Disk, FileType, Located};

use super::{ArtifactOutput, FileOutput, device::DeviceOutput};
use crate::{
    artifact::Artifact,
    error::{ImportError, Result},
};

/// A place for an artifact's file.
#[derive(Debug)]
pub struct Target {
    place: Located,
    name: String,
}

impl Target {
    /// Looks at what is there; changes nothing. Symlinks of the user's are followed.
    ///
    /// # Errors
    /// When the folder is not there, or the path is that of a folder, a pipe, a socket or a character device.
    pub fn look(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let refuse = |reason| Err(ImportError::unsupported(path.display().to_string(), reason));
        let place = Located::find(disk, path)?;
        let Some(name) = place.name.to_str().map(str::to_owned) else {
            return refuse("its name is not in UTF-8");
        };
        match place.kind {
            None | Some(FileType::File | FileType::BlockDevice) => Ok(Self { place, name }),
            Some(FileType::Directory) => refuse("it is a folder: name a file in it"),
            Some(_) => refuse("it is neither a file nor a block device"),
        }
    }

    /// Whether it is a block device, on which only a disk's own bytes make sense.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.place.is_device()
    }

    /// Opens it for an artifact whose body is written as it lies, or unpacked.
    ///
    /// # Errors
    /// When it cannot be written; [`Busy`](sealstone_store::Error::Busy) when a device is mounted or otherwise in use.
    pub fn open(&self, artifact: &Artifact, is_plain: bool) -> Result<Box<dyn ArtifactOutput>> {
        if self.is_device() {
            return Ok(Box::new(DeviceOutput::new(self.place.open_device()?)));
        }
        Ok(Box::new(FileOutput::new(&self.place.dir, &self.name, artifact.body.digest(), is_plain)?))
    }
}
