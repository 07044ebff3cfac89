//! Writing where everybody else sees a read-only mount: a view of the mounts that is this process' own.
//!
//! What lives here: what `unshare --mount` and `mount -o remount,bind,rw` do, as bootc and ostree do it for themselves. What does
//! not: which folders that is good for. Invariants: nobody else's mounts change, and no file system does: one that is itself
//! read-only, because somebody wanted that or because it has errors, stays so. What is mounted elsewhere meanwhile is seen.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount},
};

use crate::{
    Error, Result,
    disk::{Dir, Disk},
    raw::namespace::unshare_mounts,
};

/// The flags of a mount that a remount would take off if it did not name them.
const KEPT: [(StatVfsMountFlags, MountFlags); 6] = [
    (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
    (StatVfsMountFlags::NODEV, MountFlags::NODEV),
    (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
    (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
    (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
];

/// Lets the calling thread, and those that it starts from here on, write to the mounts on which these folders are: in a mount
/// namespace of its own, where one of them is mounted read-only; otherwise nothing is done. Folders that were opened before are
/// seen as before. Needs root; says whether anything was done.
///
/// # Errors
/// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says.
pub fn write_through_own_mounts(disk: &Arc<dyn Disk>, folders: &[PathBuf]) -> Result<bool> {
    let is_read_only = |folder: &&PathBuf| {
        Dir::open(disk, folder).and_then(|dir| dir.space()).is_ok_and(|space| space.read_only)
    };
    let read_only: Vec<&PathBuf> = folders.iter().filter(is_read_only).collect();
    if read_only.is_empty() {
        return Ok(false);
    }
    unshare_mounts().map_err(|errno| refused("have mounts of one's own", errno))?;
    // What systemd mounts on demand from here on is seen, and nothing of ours anywhere else.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(|errno| refused("keep mounts to oneself", errno))?;
    for folder in read_only {
        let mount = mount_point(disk, folder);
        let what = || format!("write to {}", mount.display());
        remount(&mount, MountFlags::empty()).map_err(|errno| refused(what(), errno))?;
    }
    Ok(true)
}

/// Tells the mount of which this is the top to take writes, or not (`RDONLY`). Nothing else of it changes.
pub(super) fn remount(mount: &Path, how: MountFlags) -> Result<(), Errno> {
    let now = statvfs(mount)?.f_flag;
    let kept = KEPT.iter().filter(|(flag, _)| now.contains(*flag)).map(|(_, flag)| *flag);
    mount_remount(mount, kept.fold(MountFlags::BIND | how, |flags, flag| flags | flag), "")
}

/// The folder at the top of the mount that a folder is on, as far as its path tells.
fn mount_point(disk: &Arc<dyn Disk>, folder: &Path) -> PathBuf {
    let is_top = |path: &&Path| {
        Dir::open(disk, path).and_then(|dir| dir.own_metadata()).is_ok_and(|metadata| metadata.mount_root)
    };
    folder.ancestors().find(is_top).unwrap_or(folder).to_owned()
}

fn refused(what: impl Into<String>, errno: Errno) -> Error {
    let what = what.into();
    match errno {
        Errno::PERM | Errno::ACCESS => Error::NotPermitted { what, needs: "root (CAP_SYS_ADMIN)" },
        errno => Error::Mount { what, reason: errno.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::mount::{UnmountFlags, mount_bind, unmount};

    use super::*;
    use crate::disk::RealDisk;

    /// A folder that is mounted on itself, read-only and without devices, for everybody.
    struct ReadOnly(tempfile::TempDir);

    impl ReadOnly {
        fn new() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("deep")).unwrap();
            if mount_bind(folder.path(), folder.path()).is_err() {
                return None;
            }
            let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NODEV;
            mount_remount(folder.path(), flags, "").unwrap();
            Some(Self(folder))
        }
    }

    impl Drop for ReadOnly {
        fn drop(&mut self) {
            let _ = unmount(self.0.path(), UnmountFlags::DETACH);
        }
    }

    #[test]
    fn what_is_mounted_read_only_can_be_written_by_one_thread_and_by_nobody_else() {
        let disk = RealDisk::shared();
        let Some(folder) = ReadOnly::new() else {
            assert!(!rustix::process::geteuid().is_root(), "root cannot mount");
            println!(
                "skipped: what_is_mounted_read_only_can_be_written_by_one_thread_and_by_nobody_else: needs root"
            );
            return;
        };
        let deep = folder.0.path().join("deep");
        let write = |name: &str| fs::write(deep.join(name), "x");
        assert!(write("before").is_err());
        std::thread::scope(|scope| {
            let own = scope.spawn(|| {
                assert!(write_through_own_mounts(&disk, std::slice::from_ref(&deep)).unwrap());
                write("inside").unwrap();
                assert!(statvfs(&deep).unwrap().f_flag.contains(StatVfsMountFlags::NODEV), "a flag got lost");
                // Those that it starts see what it sees.
                std::thread::scope(|inner| inner.spawn(|| write("below")).join().unwrap()).unwrap();
                assert!(!write_through_own_mounts(&disk, std::slice::from_ref(&deep)).unwrap(), "again");
            });
            own.join().unwrap();
        });
        assert!(write("after").is_err());
        assert!(deep.join("inside").exists() && deep.join("below").exists());
    }

    #[test]
    fn what_is_writable_needs_no_view_of_its_own() {
        let (disk, folder) = (RealDisk::shared(), tempfile::tempdir().unwrap());
        let before = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let missing = folder.path().join("missing");
        assert!(!write_through_own_mounts(&disk, &[folder.path().to_owned(), missing]).unwrap());
        assert_eq!(fs::read_link("/proc/thread-self/ns/mnt").unwrap(), before);
    }
}
