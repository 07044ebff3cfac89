//! Mounting an image: EROFS for names and metadata, overlayfs over it for the content of objects; and the other mounts
//! that a root is put together of.
//!
//! What lives here: the mounts with Linux' new mount calls (fsopen(2) and its kin) and what older kernels need instead,
//! found out at run time. What does not: the initramfs' order of steps, and what `/etc` and `/var` are.
//! Invariants: only an image that has a name is mounted; where the kernel guards the objects it must guard these
//! (`verity=require`), elsewhere the image's bytes are checked before the kernel sees them; the mount's source is
//! `composefs:<image id>`, by which bootc and we know it again.

mod bind;
mod device;
mod kernel;
mod mounted;
mod own_view;
mod place;
pub(crate) mod probe;
#[cfg(test)]
mod tests;
mod writable;

pub use bind::bind_read_only;
pub use device::{DetachedMount, DiskPart, reread_partitions};
pub use mounted::MountEntry;
pub use own_view::write_through_own_mounts;
pub use place::{
    CopiedMount, attach_copy, detach, is_mounted, make_private, make_read_only, make_writable, mount_tmpfs,
    move_mount,
};
pub use writable::WritableOverlay;

use std::{os::fd::AsFd, path::Path};

use crate::{
    Error, ObjectId, Optional, Repository, Result, Verity,
    disk::{Dir, File, RealDisk},
};
use kernel::{Layers, Overlay};

/// Mounts an image on a directory, read-only. Needs root.
///
/// # Errors
/// [`Error::Missing`] when the image has no name, [`Error::Io`] when the target is no directory, [`Error::Corrupt`] when the
/// image's bytes are not those of its id, [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says
/// when it cannot.
pub fn mount_image(repository: &Repository, image: &ObjectId, target: &Path) -> Result<()> {
    mount_with(repository, image, target, &Layers::ALL)
}

/// Takes an image's mount off a directory, never a mount of anything else. Needs root.
///
/// # Errors
/// [`Error::Busy`] while something there is in use, [`Error::Missing`] when no image is mounted there,
/// [`Error::NotPermitted`] without root.
pub fn unmount_image(target: &Path) -> Result<()> {
    let folder = Dir::open(&RealDisk::shared(), target).optional()?;
    let mount = folder.as_ref().map(MountEntry::of).transpose()?.flatten();
    // Held open, it would be in use.
    drop(folder);
    if !mount.is_some_and(|mount| mount.source.starts_with(mounted::IMAGE)) {
        return Err(Error::Missing { what: format!("mount of an image on {}", target.display()) });
    }
    kernel::unmount(target)
}

/// Mounts in the first of these ways that the kernel takes.
fn mount_with(repository: &Repository, image: &ObjectId, target: &Path, ways: &[Layers]) -> Result<()> {
    if !repository.has_image(image)? {
        return Err(Error::Missing { what: format!("image {image}") });
    }
    // The kernel would say the same at the end, in words that blame the image.
    drop(Dir::open(repository.dir().disk(), target)?);
    if repository.verity() != Verity::Required {
        repository.copy_object(image, |_| Ok(()))?;
    }
    let objects = repository.dir().ensure_dir(crate::layout::OBJECTS, crate::layout::FOLDER_MODE)?;
    let image = ImageMount {
        id: image,
        file: &repository.open_object(image)?,
        objects: &objects,
        require_verity: repository.verity() == Verity::Required,
        through_loop: false,
    };
    image.mount_as(target, ways)
}

/// An image that was found and checked by the caller, to be mounted without a [`Repository`]: in an initramfs, which writes
/// nothing and takes no lock.
#[derive(Debug)]
pub struct ImageMount<'a> {
    /// The image's id, for the source of the mount.
    pub id: &'a ObjectId,
    /// The image's bytes, **checked** by fs-verity or against the id.
    pub file: &'a File,
    /// The folder of the objects.
    pub objects: &'a Dir,
    /// Whether the kernel must find an object's fs-verity digest to be what the image says.
    pub require_verity: bool,
    /// Whether EROFS reads a loop device even where it could read the file. Some kernels count a file as a layer, and a
    /// further overlay would be one layer too many for them.
    pub through_loop: bool,
}

impl ImageMount<'_> {
    /// Mounts the image on a directory, read-only. Needs root.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without root, [`Error::Mount`] with what the kernel says when it cannot.
    pub fn mount_on(&self, target: &Path) -> Result<()> {
        self.mount_as(target, &Layers::ALL)
    }

    fn mount_as(&self, target: &Path, ways: &[Layers]) -> Result<()> {
        let source = format!("{}{}", mounted::IMAGE, self.id);
        let erofs = kernel::mount_erofs(self.objects.disk(), self.file, self.through_loop, &source)?;
        let overlay = Overlay {
            source: &source,
            erofs: erofs.as_fd(),
            objects: self.objects.as_fd(),
            require_verity: self.require_verity,
            target,
        };
        overlay.mount(ways)
    }
}
