//! Mounts as things that are put somewhere: attached, moved, detached; and what a mount point is told.
//!
//! What lives here: the calls around a mount that do not make a file system, with their errors. What does not: file
//! systems (`kernel.rs`, `writable.rs`), and which is put where.
//! Invariants: a target is an open directory wherever the kernel takes one, so that no symlink of an image leads elsewhere.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change,
        open_tree, unmount,
    },
};

use super::kernel::{Refusal, proc_path};
use super::own_view::remount;
use crate::{Error, Result, disk::Dir};

/// Puts a mount on a directory.
pub(super) fn attach(mount: BorrowedFd<'_>, target: &Dir) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags)
}

/// Says what could not be done, as a mount's error.
fn refusal<'a>(verb: &'a str, place: &'a Path) -> impl Fn(Errno) -> Error + 'a {
    move |errno| Refusal::from(errno).into_error(&format!("{} ({verb})", place.display()))
}

/// Shows a directory at another one as well, as a bind mount does; with `with_submounts` what is mounted below it too.
/// Needs root.
///
/// # Errors
/// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
pub fn attach_copy(from: &Dir, target: &Dir, with_submounts: bool) -> Result<()> {
    CopiedMount::of(from, with_submounts)?.attach(target)
}

/// A copy of what a directory shows, as a bind mount makes it, attached nowhere yet.
#[derive(Debug)]
pub struct CopiedMount(OwnedFd);

impl CopiedMount {
    /// The copy; with `with_submounts` what is mounted below comes along. Needs root.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
    pub fn of(from: &Dir, with_submounts: bool) -> Result<Self> {
        let mut flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        if with_submounts {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        open_tree(from, "", flags).map(Self).map_err(refusal("copy the mount", from.label()))
    }

    /// Puts it on a directory. Needs root.
    ///
    /// # Errors
    /// [`Error::Mount`] with what the kernel says when it cannot.
    pub fn attach(self, target: &Dir) -> Result<()> {
        attach(self.0.as_fd(), target).map_err(refusal("attach", target.label()))
    }
}

/// Moves what is mounted at a directory, with all mounts below it, to another one. Needs root.
///
/// # Errors
/// [`Error::Mount`] when `from` is no mount point or its parent is shared (make that private first).
pub fn move_mount(from: &Dir, target: &Dir) -> Result<()> {
    attach(from.as_fd(), target).map_err(refusal("move to it", target.label()))
}

/// Takes the topmost mount off a path with all that is mounted below; who uses it keeps it until he is done. Needs root.
///
/// # Errors
/// [`Error::Mount`] when nothing is mounted there.
pub fn detach(target: &Path) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    unmount(target, flags).map_err(refusal("detach", target))
}

/// Whether a directory is the top of a mount.
///
/// # Errors
/// When it cannot be told.
pub fn is_mounted(folder: &Dir) -> Result<bool> {
    Ok(folder.own_metadata()?.mount_root)
}

/// Keeps what is mounted below this mount from appearing in, or vanishing with, copies of it. Needs root.
///
/// # Errors
/// [`Error::Mount`] when it is no mount point.
pub fn make_private(mount: &Path) -> Result<()> {
    mount_change(mount, MountPropagationFlags::PRIVATE).map_err(refusal("make private", mount))
}

/// Refuses writes through the mount that a directory is the top of; other mounts of the file system are as they were.
/// Needs root.
///
/// # Errors
/// [`Error::Mount`] when it is no mount point.
pub fn make_read_only(mount: &Dir) -> Result<()> {
    remount(&proc_path(mount.as_fd()), MountFlags::RDONLY).map_err(refusal("make read-only", mount.label()))
}

/// Takes writes through the mount that a directory is the top of, if its file system does. Needs root.
///
/// # Errors
/// [`Error::Mount`] when it is no mount point.
pub fn make_writable(mount: &Dir) -> Result<()> {
    let path = proc_path(mount.as_fd());
    remount(&path, MountFlags::empty()).map_err(refusal("make writable", mount.label()))
}

/// Mounts an empty file system in memory on a directory. Needs root.
///
/// # Errors
/// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
pub fn mount_tmpfs(target: &Dir, source: &str) -> Result<()> {
    let make = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let refused = |errno| Refusal::of(&context, errno);
        fsconfig_set_string(&context, "source", source).map_err(refused)?;
        fsconfig_set_string(&context, "mode", "0755").map_err(refused)?;
        fsconfig_create(&context).map_err(refused)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(refused)
    };
    let what = format!("{source} on {}", target.label().display());
    let mount = make().map_err(|refusal: Refusal| refusal.into_error(&what))?;
    attach(mount.as_fd(), target).map_err(refusal("attach", target.label()))
}
