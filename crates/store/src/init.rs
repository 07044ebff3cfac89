//! Making a repository.
//!
//! `meta.json` comes last and appears whole: a folder without it is no repository, so a killed `init` is simply run
//! again. The other folders are made when something is put into them, as composefs does.

use std::{path::Path, sync::Arc};

use rustix::io::Errno;

use crate::{
    Algorithm, Error, Repository, Result, Verity,
    disk::{Dir, Disk},
    layout,
    meta::Meta,
    temporary::{Published, Staging},
};

/// How a new repository shall be.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// The fs-verity algorithm of its objects.
    pub algorithm: Algorithm,
    /// Who guards the objects; `None` takes the kernel where it can, and computes elsewhere.
    pub verity: Option<Verity>,
}

impl Repository {
    /// Makes a repository in a folder that is missing or empty, or opens the one that is there if it has the same
    /// algorithm. Gives it, and whether it is new. It is durable then.
    ///
    /// # Errors
    /// [`Error::Foreign`] when the folder holds other things, [`Error::Unsupported`] when a repository with another
    /// algorithm or verity mode is there, [`Error::Verity`] when kernel verity is required and not to be had.
    pub fn init(disk: &Arc<dyn Disk>, path: impl AsRef<Path>, options: &InitOptions) -> Result<(Self, bool)> {
        let path = path.as_ref();
        match Self::open(disk, path) {
            Ok(repository) => return repository.require_same(options).map(|same| (same, false)),
            Err(Error::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        let (parent, name) = parent_of(path)?;
        let parent = Dir::open(disk, parent)?;
        match parent.create_dir(name, layout::REPOSITORY_MODE) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            other => other?,
        }
        let created = create(&Dir::open(disk, path)?, options)?;
        // D3: the folder's own name.
        parent.sync()?;
        let repository = Self::open(disk, path)?;
        if created {
            Ok((repository, true))
        } else {
            repository.require_same(options).map(|same| (same, false))
        }
    }

    fn require_same(self, options: &InitOptions) -> Result<Self> {
        let differs = |what: &str, has: &str| Error::Unsupported {
            path: self.dir().label().to_owned(),
            reason: format!("it exists with the {what} {has}"),
        };
        if self.algorithm() != options.algorithm {
            return Err(differs("algorithm", self.algorithm().name()));
        }
        if options.verity.is_some_and(|verity| verity != self.verity()) {
            return Err(differs("verity mode", self.verity().name()));
        }
        Ok(self)
    }
}

/// The parent folder and the name of a path; what has no name (`/`, `.`, `..`) is its own parent.
fn parent_of(path: &Path) -> Result<(&Path, &Path)> {
    let name = path.file_name().map(Path::new);
    match (path.parent(), name) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => Ok((Path::new("."), name)),
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(Error::Invalid {
            what: "repository path",
            value: path.display().to_string(),
            reason: "it does not end with a name",
        }),
    }
}

/// Fills an empty folder. Gives whether it was us who did: another process may have been faster.
fn create(dir: &Dir, options: &InitOptions) -> Result<bool> {
    let own = dir.ensure_dir(layout::OWN, layout::FOLDER_MODE)?;
    let staging = Arc::new(Staging::open(&own)?);
    if staging.masked {
        own.set_mode("", layout::FOLDER_MODE)?;
        own.set_mode(layout::TEMPORARY, layout::FOLDER_MODE)?;
    }
    let mode = choose(&staging, options, dir)?;
    // D3: our record is durable before the file that makes this a repository.
    let record = staging.create(&own, layout::OBJECT_MODE)?;
    record.file.write_all_at(0, format!("{mode}\n").as_bytes())?;
    record.file.sync()?;
    record.replace(&own, Path::new(layout::VERITY))?;
    own.sync()?;
    staging.dir.sync()?;
    let json = Meta::new(options.algorithm).to_json();
    let mut meta = staging.create(dir, layout::OBJECT_MODE)?;
    meta.file.write_all_at(0, &json)?;
    meta.file.sync()?;
    if mode == Verity::Required {
        let id = crate::verity::digest(options.algorithm, &json);
        meta = meta.seal(options.algorithm, &id)?;
        meta.file.sync()?;
    }
    let published = meta.publish(dir, Path::new(layout::META))?;
    dir.sync()?;
    Ok(published == Published::New)
}

/// The verity mode of a new repository: what is asked for, if it can be had.
fn choose(staging: &Arc<Staging>, options: &InitOptions, dir: &Dir) -> Result<Verity> {
    match options.verity {
        Some(mode @ (Verity::Computed | Verity::Offline)) => Ok(mode),
        None => {
            Ok(if Verity::probe(staging, options.algorithm)? { Verity::Required } else { Verity::Computed })
        }
        Some(Verity::Required) if Verity::probe(staging, options.algorithm)? => Ok(Verity::Required),
        Some(Verity::Required) => Err(Error::Verity {
            what: dir.label().display().to_string(),
            reason: "this kernel or file system has none".to_owned(),
        }),
    }
}
