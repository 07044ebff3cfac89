//! The stage: where the new root is put together before anybody sees it.
//!
//! What lives here: the mounts of a plan, and moving the result to its place. What does not: which they are (`plan.rs`).
//! Invariants: all happens below one file system in memory of our own, whose mounts nobody else sees change; until the last
//! step the machine is as it was, and an error on the way takes everything off again. Works on every kernel that has the
//! calls, since everything is attached to something before it is used: mounts in mounts that hang nowhere came with 6.15.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_store::{
    Optional,
    disk::{Dir, Disk},
    mount::{
        CopiedMount, ImageMount, WritableOverlay, attach_copy, detach, is_mounted, make_private,
        make_read_only, make_writable, mount_tmpfs, move_mount,
    },
};

use crate::{
    Plan, SetupError, Step,
    physical::{Chosen, Physical},
    plan::SYSROOT,
};

const ROOT: &str = "root";
/// What is written to transient folders, one folder for each.
const KEEP: &str = "keep";
/// The physical root, where a running system shows it read-only.
const PHYSICAL: &str = "physical";
const TMPFS_SOURCE: &str = "store-setup-root";

/// A place of our own for mounts, gone when dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: Dir,
    path: PathBuf,
    /// The root of the mounted image, whatever is mounted over it.
    image: Option<Dir>,
}

impl Stage {
    /// Makes it at a path, whose parent exists.
    pub(crate) fn new(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, SetupError> {
        let place = ensure_dir(disk, path)?;
        mount_tmpfs(&place, TMPFS_SOURCE)?;
        let folder = Dir::open(disk, path)?;
        let stage = Self { folder, path: path.to_owned(), image: None };
        make_private(path)?;
        for name in [ROOT, KEEP] {
            stage.folder.ensure_dir(name, 0o700)?;
        }
        Ok(stage)
    }

    /// The physical root as a mount that takes writes, wherever else it is mounted so that it does not.
    pub(crate) fn writable(&self, physical: &Physical) -> Result<Physical, SetupError> {
        attach_copy(&physical.root, &self.folder.ensure_dir(PHYSICAL, 0o700)?, false)?;
        let root = self.folder.open_dir(PHYSICAL)?;
        make_writable(&root)?;
        Ok(Physical { root })
    }

    /// Mounts the image, and gives its root.
    pub(crate) fn mount_image(&mut self, image: &Chosen<'_>, through_loop: bool) -> Result<Dir, SetupError> {
        let mount = ImageMount {
            id: image.arg.image(),
            file: &image.file,
            objects: &image.objects,
            require_verity: !image.arg.is_verity_optional(),
            through_loop,
        };
        mount.mount_on(&self.path.join(ROOT))?;
        let root = self.root()?;
        self.image = Some(root.clone());
        Ok(root)
    }

    /// The root as it is now: the topmost mount on its place.
    fn root(&self) -> Result<Dir, SetupError> {
        Ok(Dir::open(self.folder.disk(), self.path.join(ROOT))?)
    }

    /// Does one step of a plan. Gives a warning when the image leaves no place for it.
    pub(crate) fn run(
        &self,
        step: &Step,
        plan: &Plan,
        physical: &Physical,
        with_submounts: bool,
    ) -> Result<Option<String>, SetupError> {
        let root = self.root()?;
        match step {
            Step::TransientRoot { source, read_only } => {
                let keep = self.keep(ROOT)?;
                let read_only = *read_only;
                WritableOverlay { source, lower: &root, target: &root, keep: &keep, read_only }.mount()?;
            }
            Step::PhysicalRoot { read_only } => {
                let Some(place) = root.open_dir(SYSROOT).optional()? else {
                    return Ok(Some(format!(
                        "the image has no folder /{SYSROOT}: the physical root is not to be seen there"
                    )));
                };
                attach_copy(&physical.root, &place, with_submounts)?;
                if *read_only {
                    make_read_only(&root.open_dir(SYSROOT)?)?;
                }
            }
            Step::Bind { name } => {
                let from = physical.folder_of_state(&plan.state, name)?;
                attach_copy(&from, &root.open_dir(name)?, false)?;
            }
            Step::Overlay { name } => {
                let keep = physical.folder_of_state(&plan.state, name)?;
                self.overlay(&root.open_dir(name)?, name, &keep, &format!("overlay:{name}"))?;
            }
            Step::Transient { name } => {
                let keep = self.keep(name)?;
                self.overlay(&root.open_dir(name)?, name, &keep, &format!("transient:{name}"))?;
            }
        }
        Ok(None)
    }

    /// A folder in memory for what is written to one that is transient.
    fn keep(&self, name: &str) -> Result<Dir, SetupError> {
        Ok(self.folder.open_dir(KEEP)?.ensure_dir(name, 0o700)?)
    }

    /// Mounts on a folder the image's own of that name, with what is written kept. The one that a transient root shows
    /// would be one overlay more than kernels take (two).
    fn overlay(&self, target: &Dir, name: &str, keep: &Dir, source: &str) -> Result<(), SetupError> {
        let lower = match &self.image {
            Some(image) => image.open_dir(name)?,
            None => target.clone(),
        };
        Ok(WritableOverlay { source, lower: &lower, target, keep, read_only: false }.mount()?)
    }

    /// Moves the root to where it shall be, in the place of what is mounted there.
    pub(crate) fn move_to(self, target: &Path) -> Result<(), SetupError> {
        let root = self.root()?;
        let place = ensure_dir(self.folder.disk(), target)?;
        if !is_mounted(&place)? {
            return Ok(move_mount(&root, &place)?);
        }
        let before = CopiedMount::of(&place, true)?;
        drop(place);
        detach(target)?;
        let place = Dir::open(self.folder.disk(), target)?;
        if let Err(error) = move_mount(&root, &place) {
            // The machine is left as it was found, for whoever looks into it.
            before.attach(&place)?;
            return Err(error.into());
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing of it can be used any more; what the new root needs of it, it holds itself.
        let _ = detach(&self.path);
        if let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) {
            let _ = Dir::open(self.folder.disk(), parent).and_then(|parent| parent.remove_dir(name));
        }
    }
}

/// Opens a folder by its path, made if it is not there; its parent exists.
fn ensure_dir(disk: &Arc<dyn Disk>, path: &Path) -> Result<Dir, SetupError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if Dir::open(disk, path).optional()?.is_none() => {
            Ok(Dir::open(disk, parent)?.ensure_dir(name, 0o755)?)
        }
        _ => Ok(Dir::open(disk, path)?),
    }
}
