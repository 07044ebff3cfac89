//! [`WritableOverlay`]: a directory that takes writes over one that does not.
//!
//! What lives here: the overlay mount, and making its two folders so that the directory looks as before. What does not:
//! where what is written is kept, and for how long.
//! Invariant: the merged directory has mode, owner and SELinux label of the lower one, or nobody could use it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::{
    kernel::{Refusal, proc_path},
    place::attach,
};
use crate::{
    Optional, Result,
    disk::{Dir, Rename},
};

const UPPER: &str = "upper";
const WORK: &str = "work";
/// The upper folder until it looks as it has to.
const NEW: &str = "upper.new";
const SELINUX: &[u8] = b"security.selinux";

/// What an overlay is put together of, without what an image needs.
#[derive(Debug)]
pub struct WritableOverlay<'a> {
    /// The source that the list of mounts shows.
    pub source: &'a str,
    /// The directory below.
    pub lower: &'a Dir,
    /// Where the two are to be seen as one: on the lower directory, or elsewhere.
    pub target: &'a Dir,
    /// A directory of a writable file system: what is written is kept in `upper` in it.
    pub keep: &'a Dir,
    /// Whether the mount refuses writes until somebody remounts it.
    pub read_only: bool,
}

impl WritableOverlay<'_> {
    /// Mounts the overlay over the lower directory. Needs root.
    ///
    /// # Errors
    /// [`crate::Error::NotPermitted`] without root, [`crate::Error::Mount`] with what the kernel says when it cannot, and the
    /// disk's.
    pub fn mount(&self) -> Result<()> {
        let upper = self.upper()?;
        let work = self.keep.ensure_dir(WORK, 0o700)?;
        let what = || format!("{} on {}", self.source, self.target.label().display());
        let mount = self.assemble(&upper, &work).map_err(|refusal| refusal.into_error(&what()))?;
        attach(mount.as_fd(), self.target).map_err(|errno| Refusal::from(errno).into_error(&what()))
    }

    /// The folder for what is written. A new one looks like the lower directory, since overlayfs shows the upper's.
    fn upper(&self) -> Result<Dir> {
        if let Some(upper) = self.keep.open_dir(UPPER).optional()? {
            return Ok(upper);
        }
        self.keep.ensure_dir(NEW, 0o700)?;
        let lower = self.lower.own_metadata()?;
        if let Ok(label) = self.lower.xattr(".", SELINUX) {
            self.keep.set_xattr(NEW, SELINUX, &label)?;
        }
        self.keep.set_owner(NEW, lower.uid, lower.gid)?;
        self.keep.set_mode(NEW, lower.mode)?;
        // Whole or not there: the next boot takes what it finds.
        self.keep.rename(NEW, self.keep, UPPER, Rename::NoReplace)?;
        self.keep.open_dir(UPPER)
    }

    /// Paths through `/proc`, which kernels before 6.13 take as well, and which have no character that would have to be
    /// escaped.
    fn assemble(&self, upper: &Dir, work: &Dir) -> Result<OwnedFd, Refusal> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let refused = |errno| Refusal::of(&context, errno);
        fsconfig_set_string(&context, "source", self.source).map_err(refused)?;
        for (key, layer) in [("lowerdir", self.lower), ("upperdir", upper), ("workdir", work)] {
            fsconfig_set_string(&context, key, proc_path(layer.as_fd())).map_err(refused)?;
        }
        fsconfig_create(&context).map_err(refused)?;
        let attributes =
            if self.read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(refused)
    }
}
