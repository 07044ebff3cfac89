//! Mounting an image: EROFS for names and metadata, overlayfs over it for the content of objects.
//!
//! What lives here: the mount with Linux' new mount calls (fsopen(2) and its kin) and what older kernels need instead,
//! found out at run time. What does not: the initramfs' steps around it, `/etc`, `/var`.
//! Invariants: only an image that has a name is mounted; where the kernel guards the objects it must guard these
//! (`verity=require`), elsewhere the image's bytes are checked before the kernel sees them; the mount's source is
//! `composefs:<image id>`, by which bootc and we know it again.

mod bind;
mod kernel;
mod mounted;
pub(crate) mod probe;
#[cfg(test)]
mod tests;

pub use bind::bind_read_only;

use std::{os::fd::AsFd, path::Path};

use crate::{Error, ObjectId, Repository, Result, Verity, disk::Dir};
use kernel::{Layers, Overlay};

/// What the source of every mounted image begins with.
const SOURCE_PREFIX: &str = "composefs:";

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
    let source = mounted::source_of(target)?;
    if !source.is_some_and(|source| source.starts_with(SOURCE_PREFIX)) {
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
    let source = format!("{SOURCE_PREFIX}{image}");
    let file = repository.open_object(image)?;
    let erofs = kernel::mount_erofs(repository, &file, &source)?;
    let objects = repository.dir().ensure_dir(crate::layout::OBJECTS, crate::layout::FOLDER_MODE)?;
    let overlay = Overlay {
        source: &source,
        erofs: erofs.as_fd(),
        objects: objects.as_fd(),
        require_verity: repository.verity() == Verity::Required,
        target,
    };
    overlay.mount(ways)
}
