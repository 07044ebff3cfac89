//! Block devices that are installed onto: which path names one, how large it and its sectors are, what is on it.
//!
//! What lives here: looking. What does not: writing, and what is refused.

use std::{path::Path, sync::Arc};

use sealstone_store::{
    Error, Optional,
    disk::{Disk, File, FileType, Located},
};

use super::signatures::signatures;
use crate::DeployError;

/// The kernel's view of block devices.
const SYSFS: &str = "/sys/dev/block";

/// A file of sysfs says that it has a page of bytes, however few they are.
const ATTRIBUTE_MAX: u64 = 64 << 10;

/// Whether a path is that of a block device.
///
/// # Errors
/// When the folder is not there.
pub fn is_device(disk: &Arc<dyn Disk>, path: &Path) -> Result<bool, DeployError> {
    Ok(Located::find(disk, path)?.is_device())
}

/// What is on a device that would be destroyed, and its size in bytes.
///
/// # Errors
/// [`Error::Busy`] when the device is mounted or otherwise in use, and those of the disk.
pub fn look_at_device(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Vec<String>, u64), DeployError> {
    let device = Located::find(disk, path)?.open_device()?;
    let (size, _) = measures(disk, &device)?;
    Ok((signatures(&device, size)?, size))
}

/// The size of a whole device and of its sectors, in bytes.
pub(super) fn measures(disk: &Arc<dyn Disk>, device: &File) -> Result<(u64, u32), DeployError> {
    let metadata = device.metadata()?;
    let invalid = |reason: &str| DeployError::Invalid {
        what: "device",
        text: device.label().display().to_string(),
        reason: reason.to_owned(),
    };
    if metadata.kind != FileType::BlockDevice {
        return Err(invalid("it is no block device"));
    }
    if attribute(disk, metadata.rdev, "partition")?.is_some() {
        return Err(invalid("it is a partition, and a partition table is for whole devices"));
    }
    let sector = sector_bytes(disk, metadata.rdev)?;
    Ok((metadata.size, sector.ok_or_else(|| invalid("the kernel does not tell the size of its sectors"))?))
}

/// The size of a device's sectors, if the kernel tells it: the queue is the disk's, also for a partition.
pub(super) fn sector_bytes(disk: &Arc<dyn Disk>, device: (u32, u32)) -> Result<Option<u32>, Error> {
    for place in ["queue", "../queue"] {
        let text = attribute(disk, device, &format!("{place}/logical_block_size"))?;
        if let Some(bytes) = text.and_then(|text| text.parse().ok()) {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// What sysfs says of a device, if it does.
fn attribute(disk: &Arc<dyn Disk>, (major, minor): (u32, u32), name: &str) -> Result<Option<String>, Error> {
    let Some(file) = File::open(disk, format!("{SYSFS}/{major}:{minor}/{name}")).optional()? else {
        return Ok(None);
    };
    Ok(Some(String::from_utf8_lossy(&file.read_all(ATTRIBUTE_MAX)?).trim().to_owned()))
}
