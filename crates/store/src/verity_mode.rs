//! [`Verity`]: who guards the objects of a repository, the kernel or we, and how that is recorded.
//!
//! Kernel verity on `meta.json` is composefs' sign that every object must have it; it cannot be faked and is what
//! decides. Our own record beside it tells the two kinds of repository without it apart, and remembers a sealed one, so
//! that a repository that was copied without its seals is refused instead of being taken for an unsealed one.

use std::{fmt, str::FromStr, sync::Arc};

use rustix::io::Errno;

use crate::{
    Algorithm, Error, ObjectId, Result,
    disk::{Dir, File},
    error::Optional,
    layout,
    temporary::Staging,
};

/// Who guards the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verity {
    /// The kernel: each object has fs-verity before it is published, with a digest that was compared.
    Required,
    /// We: digests are computed when objects are written and checked when they are read.
    Computed,
    /// We for now; an installer seals the objects, and `meta.json`, later.
    Offline,
}

impl Verity {
    /// What is recorded: `required`, `computed` or `offline`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Computed => "computed",
            Self::Offline => "offline",
        }
    }

    /// What an existing repository has: its sealed `meta.json` decides, then our record.
    pub(crate) fn of_repository(repository: &Dir, meta: &File) -> Result<(Self, Option<ObjectId>)> {
        let sealed = meta.measure_verity()?;
        let record = format!("{}/{}", layout::OWN, layout::VERITY);
        let recorded = match repository.open_file(&record).optional()? {
            Some(file) => {
                let text = file.read_all(64)?;
                let text = String::from_utf8_lossy(&text);
                Some(text.trim().parse().map_err(|()| Error::corrupt(record, format!("it says {text:?}")))?)
            }
            None => None,
        };
        match (sealed, recorded) {
            (Some(id), _) => Ok((Self::Required, Some(id))),
            // Never silently from one to the other.
            (None, Some(Self::Required)) => Err(Error::Verity {
                what: repository.label().join(layout::META).display().to_string(),
                reason: "it was sealed once and is not any more: was the repository copied?".to_owned(),
            }),
            (None, Some(recorded)) => Ok((recorded, None)),
            // Made by composefs without verity, or our folder was thrown away.
            (None, None) => Ok((Self::Computed, None)),
        }
    }

    /// Whether the file system of this folder has fs-verity: by enabling it on an unnamed file.
    pub(crate) fn probe(staging: &Arc<Staging>, algorithm: Algorithm) -> Result<bool> {
        let probe = staging.create(&staging.dir, layout::OBJECT_MODE)?;
        let id = crate::verity::digest(algorithm, b"probe");
        probe.file.write_all_at(0, b"probe")?;
        match probe.seal(algorithm, &id) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl FromStr for Verity {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Required, Self::Computed, Self::Offline].into_iter().find(|mode| mode.name() == name).ok_or(())
    }
}

impl fmt::Display for Verity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
