//! What the kernel can mount: tried with mounts that are attached nowhere, so that they vanish when they are closed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    io::Errno,
    mount::{FsOpenFlags, fsopen},
};

use super::kernel::{self, Layers, Overlay, Refusal};
use crate::{
    Error,
    disk::{Dir, File},
    doctor::Attempt,
};

/// What came of trying to mount an image.
pub(crate) struct Mounts {
    pub(crate) api: Attempt,
    pub(crate) erofs: Attempt,
    pub(crate) erofs_from_file: Attempt,
    pub(crate) data_only: Attempt,
}

impl Mounts {
    /// When there is not even an image to try with.
    pub(crate) fn unknown(error: &Error) -> Self {
        let unknown = || Attempt::unknown(error);
        Self { api: unknown(), erofs: unknown(), erofs_from_file: unknown(), data_only: unknown() }
    }
}

/// Tries to mount the image, and overlayfs over it with `objects` as data.
pub(crate) fn mounts(image: &File, objects: &Dir) -> Mounts {
    let (api, erofs) = match fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(_) => (Attempt::yes(), Attempt::yes()),
        Err(Errno::NODEV) => (Attempt::yes(), Attempt::no(&"unknown file system type")),
        Err(Errno::NOSYS) => (Attempt::no(&Errno::NOSYS), Attempt::unknown(&Errno::NOSYS)),
        Err(errno) => (Attempt::unknown(&errno), Attempt::unknown(&errno)),
    };
    let mount = kernel::erofs_from(&kernel::proc_path(image.as_fd()), true);
    let data_only = match &mount {
        Ok(mount) => overlay(mount, objects),
        Err(refusal) => Attempt::unknown(&refusal.messages()),
    };
    let erofs_from_file = match mount {
        Ok(_) => Attempt::yes(),
        Err(refusal) if refusal.is(&[Errno::NOTBLK]) => Attempt::no(&refusal.messages()),
        Err(refusal) => Attempt::unknown(&refusal.messages()),
    };
    Mounts { api, erofs, erofs_from_file, data_only }
}

fn overlay(erofs: &OwnedFd, objects: &Dir) -> Attempt {
    let overlay = Overlay {
        source: "probe",
        erofs: erofs.as_fd(),
        objects: objects.as_fd(),
        require_verity: false,
        target: objects.label(),
    };
    let mut said = String::new();
    for way in [Layers::Descriptors, Layers::Paths] {
        match overlay.assemble(way) {
            Ok(_) => return Attempt::yes(),
            // Any way needs the parameters.
            Err(refusal) if refusal.messages.contains("nknown parameter") => {
                return Attempt::no(&refusal.messages);
            }
            // Measured (6.12): all parameters are taken, and what is refused, without a message, is the layer that is
            // mounted nowhere. A mount attaches it for the time; a probe attaches nothing.
            Err(refusal)
                if way == Layers::Paths && refusal.is(&[Errno::INVAL]) && refusal.messages.is_empty() =>
            {
                return Attempt::yes();
            }
            Err(refusal) => said = refusal.messages(),
        }
    }
    Attempt::unknown(&said)
}

impl Refusal {
    fn is(&self, errnos: &[Errno]) -> bool {
        errnos.contains(&self.errno)
    }

    /// What the kernel said, or else the name of the error.
    fn messages(&self) -> String {
        if self.messages.is_empty() { self.errno.to_string() } else { self.messages.clone() }
    }
}
