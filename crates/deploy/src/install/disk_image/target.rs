//! [`DiskTarget`]: what a path names that a disk shall be written to: a block device, or a file that is one.

use std::{path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_import::{Digest, artifact::PartialFile};
use sealstone_store::{
    Control, Error as StoreError, Optional,
    disk::{Access, Dir, Disk, File, FileType, Resolve},
};

use super::writer::{DiskWriter, HEAD, Place};
use crate::{
    DeployError,
    install::{CONFIG_DRIVE, ConfigDrive, PartitionTable, TablePartition},
};

/// Symlinks followed, as by the kernel: devices are named by links below `/dev/disk`.
const LINKS: usize = 40;

/// Bytes at the begin that tell whether there is something: the superblock of btrfs lies at 64 KiB.
const LOOKED_AT: usize = 128 << 10;

/// A disk to be written.
#[derive(Debug)]
pub struct DiskTarget {
    dir: Dir,
    name: String,
    is_device: bool,
    sector_bytes: Option<u32>,
}

impl DiskTarget {
    /// Looks at what is there; changes nothing. Without `wipe`, what has something on it is refused.
    ///
    /// # Errors
    /// [`DeployError::Occupied`] when it has something on it; when the path names a folder, or nothing that can be a disk.
    pub fn look(disk: &Arc<dyn Disk>, path: &Path, wipe: bool) -> Result<Self, DeployError> {
        let (dir, name, kind) = follow(disk, path)?;
        let is_device = kind == Some(FileType::BlockDevice);
        let mut target = Self { dir, name, is_device, sector_bytes: None };
        if is_device {
            target.sector_bytes = Some(target.ask_sector_bytes()?);
        }
        if kind.is_some() && !wipe {
            let found = target.what_is_there()?;
            if !found.is_empty() {
                return Err(DeployError::Occupied { place: path.display().to_string(), found });
            }
        }
        Ok(target)
    }

    /// Whether it is a block device.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        self.is_device
    }

    /// Bytes of a sector, where it has them: a file is as its image says.
    #[must_use]
    pub const fn sector_bytes(&self) -> Option<u32> {
        self.sector_bytes
    }

    /// The folder that a file lies in, and `None` for a device: a place for a spool.
    #[must_use]
    pub fn folder(&self) -> Option<&Dir> {
        (!self.is_device).then_some(&self.dir)
    }

    /// Puts a config drive behind the partitions of a disk that is there already: its bytes first, then the second table, then
    /// the first one. Cut off anywhere, one of the tables holds. Gives its partition.
    ///
    /// # Errors
    /// [`DeployError::Unfit`] when the disk has no table, or no room; when it cannot be read or written.
    pub fn add_config_drive(&self, drive: &ConfigDrive) -> Result<TablePartition, DeployError> {
        let file = if self.is_device {
            self.open_device(Access::Device)?
        } else {
            self.dir.open_file_with(&self.name, Access::ReadWrite, Resolve::NoSymlinks)?
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
        if self.is_device {
            let device = self.open_device(Access::Device)?;
            let bytes = device.metadata()?.size;
            return Ok(DiskWriter::new(Place::Device { device, bytes }, control));
        }
        let (partial, _) = PartialFile::open(&self.dir, &self.name, digest, false)?;
        Ok(DiskWriter::new(Place::File(partial), control))
    }

    fn open_device(&self, access: Access) -> Result<File, DeployError> {
        match self.dir.open_file_with(&self.name, access, Resolve::NoSymlinks) {
            Err(error) if error.errno() == Some(Errno::BUSY) => {
                let holder = Some("a mount, or something else that holds it".to_owned());
                Err(StoreError::Busy { path: self.dir.label().join(&self.name), holder }.into())
            }
            other => Ok(other?),
        }
    }

    /// What would be lost, for people; empty where all that is looked at is zeros.
    fn what_is_there(&self) -> Result<Vec<String>, DeployError> {
        let file = if self.is_device {
            // Whether somebody holds it, is known before anything is asked of a registry.
            self.open_device(Access::Device)?
        } else {
            self.dir.open_file(&self.name)?
        };
        let size = file.metadata()?.size;
        let mut start = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(LOOKED_AT)];
        file.read_exact_at(0, &mut start)?;
        Ok(super::gpt::describe(&start, size))
    }

    /// What the kernel says of the device (`/sys/dev/block`): the queue is the disk's, also for a partition.
    fn ask_sector_bytes(&self) -> Result<u32, DeployError> {
        let (major, minor) = self.dir.metadata(&self.name)?.rdev;
        for place in ["queue", "../queue"] {
            let path = format!("/sys/dev/block/{major}:{minor}/{place}/logical_block_size");
            let Some(file) = File::open(self.dir.disk(), path).optional()? else { continue };
            let text = file.read_all(64 << 10)?;
            if let Some(bytes) = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()) {
                return Ok(bytes);
            }
        }
        Ok(512)
    }
}

/// The place that a path of the user's leads to.
fn follow(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Dir, String, Option<FileType>), DeployError> {
    let mut path = path.to_owned();
    let refuse = |path: &Path, reason: &str| {
        let (text, reason) = (path.display().to_string(), reason.to_owned());
        Err(DeployError::Invalid { what: "disk", text, reason })
    };
    for _ in 0..LINKS {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let (Some(name), Some(parent)) = (name, path.parent()) else {
            return refuse(&path, "it names no file, or not in UTF-8");
        };
        let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = Dir::open(disk, folder)?;
        match dir.metadata(&name).optional()?.map(|metadata| metadata.kind) {
            Some(FileType::Symlink) => path = folder.join(dir.read_link(&name)?),
            Some(FileType::Directory) => return refuse(&path, "it is a folder"),
            Some(FileType::CharDevice | FileType::Fifo | FileType::Socket | FileType::Other) => {
                return refuse(&path, "it is neither a file nor a block device");
            }
            kind => return Ok((dir, name, kind)),
        }
    }
    refuse(&path, "it leads through too many symlinks")
}
