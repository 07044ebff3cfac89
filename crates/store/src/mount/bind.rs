//! Showing a directory in another place, read-only: a bind mount.

use std::{os::fd::AsFd, path::Path};

use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount},
};

use super::kernel::proc_path;
use crate::{Error, Result, disk::Dir};

/// Mounts a directory on another one, read-only, in the place of what such a call mounted there before. Needs root.
///
/// # Errors
/// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
pub fn bind_read_only(from: &Dir, target: &Path) -> Result<()> {
    let what = || format!("{} on {}", from.label().display(), target.display());
    let refuse = |errno| match errno {
        Errno::PERM | Errno::ACCESS => {
            Error::NotPermitted { what: format!("mount {}", what()), needs: "root (CAP_SYS_ADMIN)" }
        }
        errno => Error::Mount { what: what(), reason: errno.to_string() },
    };
    while Dir::open(from.disk(), target)?.own_metadata()?.mount_root {
        // Who still uses it keeps it until he is done.
        unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).map_err(refuse)?;
    }
    mount_bind(proc_path(from.as_fd()), target).map_err(refuse)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    mount_remount(target, flags, "").map_err(|errno| {
        // Not half of it: writable, it would be no view of a deployment.
        let _ = unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        refuse(errno)
    })
}
