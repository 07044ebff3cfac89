//! [`DiskTarget`]: what a path names that a disk shall be written to: a block device, or a file that is one.

use std::{path::Path, sync::Arc};

use sealstone_import::{Digest, artifact::PartialFile};
use sealstone_store::{
    Control,
    disk::{Access, Dir, Disk, FileType, Located, Resolve},
};

use super::writer::{DiskWriter, HEAD, Place};
use crate::{
    DeployError,
    install::{CONFIG_DRIVE, ConfigDrive, PartitionTable, TablePartition, device::sector_bytes, signatures},
};

/// A disk to be written.
#[derive(Debug)]
pub struct DiskTarget {
    place: Located,
    name: String,
    sector_bytes: Option<u32>,
}

impl DiskTarget {
    /// Looks at what is there; changes nothing. Without `wipe`, what has something on it is refused.
    ///
    /// # Errors
    /// [`DeployError::Occupied`] when it has something on it; when the path names a folder, or nothing that can be a disk.
    pub fn look(disk: &Arc<dyn Disk>, path: &Path, wipe: bool) -> Result<Self, DeployError> {
        let refuse = |reason: &str| {
            let (text, reason) = (path.display().to_string(), reason.to_owned());
            Err(DeployError::Invalid { what: "disk", text, reason })
        };
        let place = Located::find(disk, path)?;
        let Some(name) = place.name.to_str().map(str::to_owned) else {
            return refuse("its name is not in UTF-8");
        };
        let sector_bytes = match place.kind {
            None | Some(FileType::File) => None,
            // What says nothing of its sectors has the usual ones.
            Some(FileType::BlockDevice) => {
                let number = place.dir.metadata(&place.name)?.rdev;
                Some(sector_bytes(disk, number)?.unwrap_or(512))
            }
            Some(FileType::Directory) => return refuse("it is a folder"),
            Some(_) => return refuse("it is neither a file nor a block device"),
        };
        let target = Self { place, name, sector_bytes };
        if target.place.kind.is_some() && !wipe {
            let found = target.what_is_there()?;
            if !found.is_empty() {
                return Err(DeployError::Occupied { place: path.display().to_string(), found });
            }
        }
        Ok(target)
    }

    /// Whether it is a block device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.place.is_device()
    }

    /// Bytes of a sector, where it has them: a file is as its image says.
    #[must_use]
    pub const fn sector_bytes(&self) -> Option<u32> {
        self.sector_bytes
    }

    /// The folder that a file lies in, and `None` for a device: a place for a spool.
    #[must_use]
    pub fn folder(&self) -> Option<&Dir> {
        (!self.is_device()).then_some(&self.place.dir)
    }

    /// Puts a config drive behind the partitions of a disk that is there already: its bytes first, then the second table, then
    /// the first one. Cut off anywhere, one of the tables holds. Gives its partition.
    ///
    /// # Errors
    /// [`DeployError::Unfit`] when the disk has no table, or no room; when it cannot be read or written.
    pub fn add_config_drive(&self, drive: &ConfigDrive) -> Result<TablePartition, DeployError> {
        let file = if self.is_device() {
            self.place.open_device()?
        } else {
            self.place.dir.open_file_with(&self.name, Access::ReadWrite, Resolve::NoSymlinks)?
        };
        let disk_bytes = file.metadata()?.size;
        let mut head = vec![0; usize::try_from(disk_bytes).unwrap_or(usize::MAX).min(HEAD)];
        file.read_exact_at(0, &mut head)?;
        let unfit = |reason| DeployError::Unfit { profile: "a disk for a config drive", reason };
        let mut table = PartitionTable::read(&head).map_err(unfit)?;
        let offset = table.add(CONFIG_DRIVE, drive.bytes(), disk_bytes, &mut head).map_err(unfit)?;
        let mut at = offset;
        drive.stream(|bytes| {
            file.write_all_at(at, bytes)?;
            at += bytes.len() as u64;
            Ok(())
        })?;
        // D1: content before what names it.
        file.sync()?;
        if let Some((end, second)) = table.reach_to(disk_bytes, &mut head).map_err(unfit)? {
            file.write_all_at(end, &second)?;
            file.sync()?;
        }
        file.write_all_at(0, &head)?;
        file.sync()?;
        let made = table.partitions.into_iter().find(|partition| partition.offset == offset);
        made.ok_or_else(|| unfit("its table changed".to_owned()))
    }

    pub(super) fn open(&self, digest: &Digest, control: &Control) -> Result<DiskWriter, DeployError> {
        if self.is_device() {
            let device = self.place.open_device()?;
            let bytes = device.metadata()?.size;
            return Ok(DiskWriter::new(Place::Device { device, bytes }, control));
        }
        let (partial, _) = PartialFile::open(&self.place.dir, &self.name, digest, false)?;
        Ok(DiskWriter::new(Place::File(partial), control))
    }

    /// What would be lost, for people.
    fn what_is_there(&self) -> Result<Vec<String>, DeployError> {
        let file = if self.is_device() {
            // Whether somebody holds it, is known before anything is asked of a registry.
            self.place.open_device()?
        } else {
            self.place.dir.open_file(&self.name)?
        };
        signatures(&file, file.metadata()?.size)
    }
}
