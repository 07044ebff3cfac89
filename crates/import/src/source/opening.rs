//! [`Opening`]: how a reference becomes a source, and what that may need.

use std::{io::Read, path::Path, sync::Arc};

use sealstone_store::{Control, Repository, disk::Disk};

use super::{
    ContainersStorage, DockerArchive, ImageDir, LayerTar, OciArchive, OciLayout, Reference, Source,
    containers_storage::MACHINE_STORAGE, held::Held, tar_index::TarIndex,
};
use crate::{
    Limits,
    error::{ImportError, Result},
    oci::Platform,
};

/// What opening a source may need. Most references need the disk and the limits alone: see [`open`](super::open).
#[must_use = "nothing is opened before `open`"]
pub struct Opening<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) limits: &'a Limits,
    pub(super) scratch: Option<&'a Repository>,
    pub(super) input: Option<Box<dyn Read + Send>>,
    pub(super) platform: Platform,
    pub(super) control: Control,
}

impl<'a> Opening<'a> {
    /// Nothing but places on a disk, read in place.
    pub fn new(disk: &'a Arc<dyn Disk>, limits: &'a Limits) -> Self {
        let (platform, control) = (Platform::native(), Control::new());
        Self { disk, limits, scratch: None, input: None, platform, control }
    }

    /// Where an archive that is compressed or comes from the standard input may be unpacked.
    pub const fn scratch(mut self, repository: &'a Repository) -> Self {
        self.scratch = Some(repository);
        self
    }

    /// What `-` in the place of a file reads. Without it such references are refused.
    pub fn standard_input(mut self, input: impl Read + Send + 'static) -> Self {
        self.input = Some(Box::new(input));
        self
    }

    /// What an image of a bare tar runs on; by default Linux on the architecture that this was built for.
    pub fn platform(mut self, platform: &Platform) -> Self {
        self.platform = platform.clone();
        self
    }

    /// Who watches and stops the unpacking of an archive.
    pub fn control(mut self, control: &Control) -> Self {
        self.control = control.clone();
        self
    }

    /// Opens the source.
    ///
    /// # Errors
    /// When it is not there, or not what the reference says.
    pub fn open(self, reference: &Reference) -> Result<Box<dyn Source>> {
        let (disk, limits) = (self.disk, self.limits);
        Ok(match reference {
            Reference::Layout { path, choice } => Box::new(OciLayout::open(disk, path, choice.clone())?),
            Reference::Archive { path, choice } => {
                let index = TarIndex::new(Held::open(path, self)?, label(reference), limits)?;
                Box::new(OciArchive::new(index, choice.clone())?)
            }
            Reference::DockerArchive { path, choice } => {
                let index = TarIndex::new(Held::open(path, self)?, label(reference), limits)?;
                Box::new(DockerArchive::new(index, choice, limits)?)
            }
            Reference::Dir { path } => Box::new(ImageDir::open(disk, path, limits)?),
            Reference::Tar { path } => {
                let platform = self.platform.clone();
                Box::new(LayerTar::new(Held::open(path, self)?, label(reference), &platform)?)
            }
            Reference::ContainersStorage(storage) => {
                Box::new(ContainersStorage::open(disk, storage, Path::new(MACHINE_STORAGE), limits)?)
            }
            Reference::Registry(registry) => {
                let reason = "it is in a registry: open it as a `RegistrySource`";
                return Err(ImportError::unsupported(registry.to_string(), reason));
            }
        })
    }
}

/// An archive's name in messages: the reference without the choice.
fn label(reference: &Reference) -> String {
    match reference {
        Reference::Archive { path, .. } => format!("oci-archive:{}", path.display()),
        Reference::DockerArchive { path, .. } => format!("docker-archive:{}", path.display()),
        other => other.to_string(),
    }
}
