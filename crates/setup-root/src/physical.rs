//! The physical root: the file system with the repository and the state of deployments, as it is before we begin.
//!
//! What lives here: finding the image that is asked for, checking its bytes, and listing what is there for messages. What
//! does not: mounts. Invariants: nothing is written; an image is trusted because the kernel measured what its argument
//! says, or, where the argument does not ask for that (`?`), because its bytes were hashed.

use std::{path::Path, sync::Arc};

use sealstone_boot::ComposefsArg;
use sealstone_store::{
    Optional,
    disk::{Dir, Disk, File, Resolve},
    layout,
    verity::Hasher,
};

use crate::{Request, SetupError, StateId};

const REPOSITORY: &str = "composefs";
const DEPLOY: &str = "state/deploy";

/// How many deployments a message lists.
const LISTED: usize = 8;

/// How much of an image is hashed at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// The file system under the system.
#[derive(Debug)]
pub(crate) struct Physical {
    pub(crate) root: Dir,
}

/// The image that becomes the root.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    pub(crate) arg: &'a ComposefsArg,
    pub(crate) file: File,
    pub(crate) objects: Dir,
}

impl Physical {
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, SetupError> {
        Ok(Self { root: Dir::open(disk, path)? })
    }

    /// The first image of those asked for that is there.
    pub(crate) fn choose<'a>(&self, request: &'a Request) -> Result<Chosen<'a>, SetupError> {
        let none = || SetupError::NoImage {
            asked: request.candidates.iter().map(ToString::to_string).collect(),
            repository: self.root.label().join(REPOSITORY),
            available: self.deployments(),
        };
        let repository = self.root.open_dir(REPOSITORY).optional()?.ok_or_else(none)?;
        let images = repository.open_dir(layout::IMAGES).optional()?.ok_or_else(none)?;
        for arg in &request.candidates {
            if !images.exists(arg.image().to_hex())? {
                continue;
            }
            let lost = || SetupError::Untrusted {
                image: arg.image().to_hex(),
                reason: format!("{} has its name and not its bytes", repository.label().display()),
            };
            let objects = repository.open_dir(layout::OBJECTS).optional()?.ok_or_else(lost)?;
            let file = objects.open_file(arg.image().object_path()).optional()?.ok_or_else(lost)?;
            return Ok(Chosen { arg, file, objects });
        }
        Err(none())
    }

    /// The folder with the state of a deployment.
    pub(crate) fn state(&self, id: &StateId) -> Result<Dir, SetupError> {
        let folder = format!("{DEPLOY}/{id}");
        let missing = || SetupError::NoState {
            id: id.to_string(),
            folder: self.root.label().join(&folder),
            available: self.deployments(),
        };
        self.root.open_dir(&folder).optional()?.ok_or_else(missing)
    }

    /// A folder of a deployment's state. Its links, as that of `/var`, stay inside the physical root.
    pub(crate) fn folder_of_state(&self, id: &StateId, name: &str) -> Result<Dir, SetupError> {
        Ok(self.root.open_dir_with(format!("{DEPLOY}/{id}/{name}"), Resolve::InRoot)?)
    }

    /// Deployments whose image is there, as far as they can be listed.
    fn deployments(&self) -> Vec<String> {
        let Ok(states) = self.root.open_dir(DEPLOY).and_then(|folder| folder.read_dir()) else {
            return Vec::new();
        };
        let has_image = |name: &String| {
            let image = name.split('.').next().unwrap_or_default();
            self.root.exists(format!("{REPOSITORY}/{}/{image}", layout::IMAGES)).unwrap_or(false)
        };
        let names = states.into_iter().filter_map(|entry| entry.name.into_string().ok());
        let mut names: Vec<String> = names.filter(has_image).collect();
        names.sort();
        let more = names.len().saturating_sub(LISTED);
        names.truncate(LISTED);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        names
    }
}

impl Chosen<'_> {
    /// Makes sure that the bytes are those of the image's id, before the kernel reads them as a file system.
    pub(crate) fn check(&self) -> Result<(), SetupError> {
        let image = self.arg.image();
        let untrusted = |reason| Err(SetupError::Untrusted { image: image.to_hex(), reason });
        let (found, by) = match self.file.measure_verity()? {
            Some(found) => (found, "the fs-verity digest of"),
            None if self.arg.is_verity_optional() => (self.hash()?, "the digest of"),
            None => {
                let place = self.file.label().display();
                return untrusted(format!(
                    "{place} has no fs-verity, and the argument asks for it (a ? before the id would not)"
                ));
            }
        };
        if found != *image {
            return untrusted(format!("{by} {} is {found}", self.file.label().display()));
        }
        Ok(())
    }

    fn hash(&self) -> Result<sealstone_store::ObjectId, SetupError> {
        let mut hasher = Hasher::new(self.arg.image().algorithm());
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let count = self.file.read_at(offset, &mut buffer)?;
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
            hasher.update(piece);
            offset += count as u64;
        }
        Ok(hasher.finish())
    }
}
