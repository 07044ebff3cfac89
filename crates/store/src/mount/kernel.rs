//! The system calls of a mount, and which kernel takes which.
//!
//! What lives here: the new mount calls (fsopen(2) and its kin) and their fallbacks. What does not: what is mounted and why.
//! Measured (6.12, 6.18, 7.2): 6.12 takes neither descriptors for overlayfs' layers (EBADF) nor a layer that is mounted
//! nowhere (EINVAL), and wants `metacopy` for data-only layers; before 6.12 EROFS reads block devices only (ENOTBLK).

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
        fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
        unmount as detach,
    },
};

use crate::{
    Error, Result,
    disk::{Access, Dir, Disk, File, Resolve},
    raw::loop_device,
};

/// Bit 0 of the flags in a composefs image's header: some file has an ACL.
const HAS_ACL: u32 = 1;

/// How overlayfs is told its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layers {
    /// As descriptors, the EROFS mounted nowhere (Linux 6.13).
    Descriptors,
    /// As paths through `/proc`, the EROFS mounted nowhere: what takes this takes descriptors as well, so it is only probed.
    Paths,
    /// As paths, the EROFS mounted on the target for the time (Linux 6.5).
    AttachedPaths,
}

impl Layers {
    /// The ways of a mount, the newest kernels' first. What a kernel refuses may be a line on its console, so there is none
    /// to spare.
    pub(super) const ALL: [Self; 2] = [Self::Descriptors, Self::AttachedPaths];
}

/// A refusal of the kernel: the error, and the messages that it left in the context.
pub(super) struct Refusal {
    pub(super) errno: Errno,
    pub(super) messages: String,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, messages: String::new() }
    }
}

impl Refusal {
    /// With what the kernel wrote about it (one message a read, each with a letter for its kind before).
    pub(super) fn of(context: &OwnedFd, errno: Errno) -> Self {
        let mut messages = Vec::new();
        let mut buffer = [0; 512];
        while let Ok(count) = rustix::io::read(context, &mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned();
            messages.push(text.trim_end().to_owned());
        }
        Self { errno, messages: messages.join("; ") }
    }

    pub(super) fn into_error(self, what: &str) -> Error {
        if matches!(self.errno, Errno::PERM | Errno::ACCESS) {
            return Error::NotPermitted { what: format!("mount {what}"), needs: "root (CAP_SYS_ADMIN)" };
        }
        let separator = if self.messages.is_empty() { "" } else { ": " };
        let reason = format!("{}{separator}{}", self.errno, self.messages);
        Error::Mount { what: what.to_owned(), reason }
    }
}

/// Mounts an image file as EROFS, nowhere yet.
pub(super) fn mount_erofs(
    disk: &Arc<dyn Disk>,
    file: &File,
    through_loop: bool,
    what: &str,
) -> Result<OwnedFd> {
    let mut header = [0; 16];
    file.read_exact_at(0, &mut header)?;
    let [.., a, b, c, d, _, _, _, _] = header;
    let acl = u32::from_le_bytes([a, b, c, d]) & HAS_ACL != 0;
    if through_loop {
        return mount_through_loop(disk, file, acl, what);
    }
    match erofs_from(&proc_path(file.as_fd()), acl) {
        Ok(mount) => Ok(mount),
        Err(refusal) if matches!(refusal.errno, Errno::NOTBLK | Errno::INVAL) => {
            mount_through_loop(disk, file, acl, what)
        }
        Err(refusal) => Err(refusal.into_error(what)),
    }
}

/// The same by way of a loop device, for kernels and file systems whose files EROFS does not read itself.
fn mount_through_loop(disk: &Arc<dyn Disk>, file: &File, acl: bool, what: &str) -> Result<OwnedFd> {
    let dev = Dir::open(disk, "/dev")?;
    let (name, device) = loop_device_of(&dev, file, None)?;
    let mounted = erofs_from(&dev.label().join(name), acl);
    // Open until here: a loop device that nobody uses clears itself.
    drop(device);
    mounted.map_err(|refusal| refusal.into_error(what))
}

/// A loop device of a file (read-only) or of a part of it, and its name in `/dev`.
pub(super) fn loop_device_of(
    dev: &Dir,
    file: &File,
    part: Option<loop_device::Part>,
) -> Result<(String, File)> {
    let open = |name: &str| dev.open_file_with(name, Access::ReadWrite, Resolve::NoSymlinks);
    let control = open("loop-control")?;
    loop {
        let number = loop_device::free_number(&control)
            .map_err(|errno| Error::at("find a loop device in", dev.label(), errno))?;
        let name = format!("loop{number}");
        let device = open(&name)?;
        match loop_device::configure(&device, file, part) {
            Ok(()) => return Ok((name, device)),
            // Somebody else took it meanwhile.
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(Error::at("set up", &dev.label().join(name), errno)),
        }
    }
}

pub(super) fn erofs_from(source: &Path, acl: bool) -> Result<OwnedFd, Refusal> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, "ro")?;
    if !acl {
        fsconfig_set_flag(&context, "noacl")?;
    }
    fsconfig_set_string(&context, "source", source).map_err(|errno| Refusal::of(&context, errno))?;
    fsconfig_create(&context).map_err(|errno| Refusal::of(&context, errno))?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY);
    mount.map_err(|errno| Refusal::of(&context, errno))
}

/// Mounts a device with a file system of this kind, nowhere: it is there as long as the descriptor is, or a file in it is
/// open. No program of it can be run, and no device of it opened.
pub(super) fn mount_detached(device: &Path, kind: &str, options: &[(&str, &str)]) -> Result<OwnedFd> {
    let mount = || -> Result<OwnedFd, Refusal> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        let refused = |errno| Refusal::of(&context, errno);
        fsconfig_set_string(&context, "source", device).map_err(refused)?;
        for (key, value) in options {
            fsconfig_set_string(&context, *key, *value).map_err(refused)?;
        }
        fsconfig_create(&context).map_err(refused)?;
        let safe = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, safe).map_err(refused)
    };
    mount().map_err(|refusal| refusal.into_error(&format!("{kind} on {}", device.display())))
}

/// What overlayfs puts together.
pub(super) struct Overlay<'a> {
    pub source: &'a str,
    pub erofs: BorrowedFd<'a>,
    pub objects: BorrowedFd<'a>,
    pub require_verity: bool,
    pub target: &'a Path,
}

impl Overlay<'_> {
    /// Mounts on the target in the first of these ways that the kernel takes.
    pub(super) fn mount(&self, ways: &[Layers]) -> Result<()> {
        let mut last = Refusal::from(Errno::NOSYS);
        for way in ways {
            match self.mount_as(*way) {
                Ok(()) => return Ok(()),
                Err(refusal) => last = refusal,
            }
            if !matches!(last.errno, Errno::BADF | Errno::INVAL | Errno::OPNOTSUPP) {
                break;
            }
        }
        Err(last.into_error(&format!("{} on {}", self.source, self.target.display())))
    }

    fn mount_as(&self, way: Layers) -> Result<(), Refusal> {
        let mount = match way {
            Layers::Descriptors | Layers::Paths => self.assemble(way)?,
            Layers::AttachedPaths => {
                attach(self.erofs, self.target)?;
                let mount = self.assemble(way);
                // overlayfs has its own hold on the layer; the target is free again for the overlay itself.
                detach(self.target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
                mount?
            }
        };
        Ok(attach(mount.as_fd(), self.target)?)
    }

    /// The overlay, mounted nowhere yet.
    pub(super) fn assemble(&self, way: Layers) -> Result<OwnedFd, Refusal> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let refused = |errno| Refusal::of(&context, errno);
        fsconfig_set_string(&context, "source", self.source).map_err(refused)?;
        for (key, value) in [("metacopy", "on"), ("redirect_dir", "on")] {
            fsconfig_set_string(&context, key, value).map_err(refused)?;
        }
        if self.require_verity {
            fsconfig_set_string(&context, "verity", "require").map_err(refused)?;
        }
        for (key, layer) in [("lowerdir+", self.erofs), ("datadir+", self.objects)] {
            match way {
                Layers::Descriptors => fsconfig_set_fd(&context, key, layer),
                Layers::Paths | Layers::AttachedPaths => fsconfig_set_string(&context, key, proc_path(layer)),
            }
            .map_err(refused)?;
        }
        fsconfig_create(&context).map_err(refused)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY).map_err(refused)
    }
}

fn attach(mount: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

pub(super) fn unmount(target: &Path) -> Result<()> {
    match detach(target, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(Error::Busy { path: target.to_owned(), holder: None }),
        Err(Errno::INVAL | Errno::NOENT) => {
            Err(Error::Missing { what: format!("mount of an image on {}", target.display()) })
        }
        Err(errno) => Err(Refusal::from(errno).into_error(&format!("on {}", target.display()))),
    }
}

pub(super) fn proc_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}
