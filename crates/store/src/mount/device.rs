//! A part of a disk as a device of its own, and file systems on devices that are mounted nowhere: for a disk in the making,
//! and for boot partitions that have no place.
//!
//! What lives here: the part, by way of a loop device, so that the disk needs no partition table yet; the mount, which only
//! its descriptor leads to. What does not: which devices. Invariant: both go with their values, so a killed process leaves
//! neither.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::kernel::{loop_device_of, mount_detached, proc_path};
use crate::{
    Error, Result,
    disk::{Dir, Disk, File},
    raw::loop_device::{self, Part},
};

/// Where devices are.
const DEVICES: &str = "/dev";

/// A part of a disk, as a block device. Freed when it is dropped and nobody else uses it.
#[derive(Debug)]
pub struct DiskPart {
    path: PathBuf,
    _device: File,
}

impl DiskPart {
    /// The part of an open disk that begins at `offset` and has `size` bytes, with sectors of so many bytes. Needs root.
    ///
    /// # Errors
    /// When there is no loop device to be had.
    pub fn new(disk: &File, offset: u64, size: u64, sector: u32) -> Result<Self> {
        let dev = Dir::open(disk.disk(), DEVICES)?;
        let (name, device) = loop_device_of(&dev, disk, Some(Part { offset, size, sector }))?;
        Ok(Self { path: Path::new(DEVICES).join(name), _device: device })
    }

    /// The device's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Mounts the file system on it, of this kind (`ext4`), nowhere.
    ///
    /// # Errors
    /// As [`DetachedMount::new`].
    pub fn mount(&self, kind: &str) -> Result<DetachedMount> {
        DetachedMount::new(&self.path, kind, &[])
    }
}

/// A mounted file system, writable, that no path leads to but this one's: it has no place among the machine's mounts, and no
/// program of it can be run. Unmounted when it is dropped and nothing in it is open.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

impl DetachedMount {
    /// Mounts a device with a file system of this kind (`vfat`) and these options of it. Needs root.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
    pub fn new(device: &Path, kind: &str, options: &[(&str, &str)]) -> Result<Self> {
        Ok(Self(mount_detached(device, kind, options)?))
    }

    /// The path of its root, for this process alone.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        proc_path(self.0.as_fd())
    }

    /// Opens its root, which holds the file system from then on.
    ///
    /// # Errors
    /// When the file system cannot be read.
    pub fn into_dir(self, disk: &Arc<dyn Disk>) -> Result<Dir> {
        Dir::open(disk, self.path())
    }
}

/// Makes the kernel read the partition table of a disk again.
///
/// # Errors
/// EBUSY while a partition of it is in use, EINVAL where there can be none.
pub fn reread_partitions(disk: &File) -> Result<()> {
    loop_device::reread_partitions(disk)
        .map_err(|errno| Error::at("read the partition table of", disk.label(), errno))
}
