//! A file system on a block device, mounted where nobody sees it: for boot partitions that are mounted nowhere.
//!
//! What lives here: the mount without a place, which is gone with the last descriptor of it. What does not: which devices.

use std::{os::fd::AsFd, path::Path, sync::Arc};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::kernel::{Refusal, proc_path};
use crate::{
    Result,
    disk::{Dir, Disk},
};

/// Mounts a device of this type of file system (`vfat`), writable, and opens its root. It has no place among the machine's
/// mounts, and no program of it can be run. Needs root.
///
/// # Errors
/// [`crate::Error::NotPermitted`] without root, [`crate::Error::Mount`] with what the kernel says.
pub fn mount_privately(
    disk: &Arc<dyn Disk>,
    device: &Path,
    file_system: &str,
    options: &[(&str, &str)],
) -> Result<Dir> {
    let what = device.display().to_string();
    let mounted = || {
        let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC)?;
        let refusal = |errno| Refusal::of(&context, errno);
        fsconfig_set_string(&context, "source", device).map_err(refusal)?;
        for (key, value) in options {
            fsconfig_set_string(&context, *key, *value).map_err(refusal)?;
        }
        fsconfig_create(&context).map_err(refusal)?;
        let safe = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, safe).map_err(refusal)
    };
    let mount = mounted().map_err(|refusal: Refusal| refusal.into_error(&what))?;
    // The folder that is opened holds the file system when this descriptor of the mount is closed.
    Dir::open(disk, proc_path(mount.as_fd()))
}
