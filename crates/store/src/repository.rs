//! [`Repository`]: an open composefs repository, ready to be read and to be written through transactions.
//!
//! What lives here: opening with all its checks, and access to objects. Making one is in `init.rs`, names are read in
//! `names.rs`, everything that writes goes through [`Transaction`].
//! Invariants: an open repository holds the shared lock; its verity mode never changes; content that is read through
//! `read_*` has been checked against its id, by the kernel or by us.

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustix::io::Errno;

use crate::{
    Access, Algorithm, Error, Map, ObjectId, Result, Transaction, Verity,
    disk::{Dir, Disk, File},
    error::Optional,
    layout,
    lock::{ExclusiveGuard, RepositoryLock, SharedGuard},
    meta::{Allowed, META_LIMIT, Meta},
    objects::Objects,
    temporary::Staging,
    unsynced,
    verity::{self, Hasher},
};

/// How long opening waits for a gc of another process to end.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(30);

/// How much of an object is read at a time when it is streamed, in bytes.
const READ_CHUNK: usize = 256 << 10;

/// How much of it is read first: most objects are smaller, and making room costs more than reading them.
const FIRST_CHUNK: usize = 16 << 10;

/// An open repository. Cloning shares it.
///
/// ```
/// use sealstone_store::{Algorithm, InitOptions, Repository, disk::RealDisk};
///
/// let folder = tempfile::tempdir()?;
/// let options = InitOptions { algorithm: Algorithm::Sha256, ..InitOptions::default() };
/// let (repository, created) = Repository::init(&RealDisk::shared(), folder.path().join("repo"), &options)?;
/// assert!(created);
///
/// let transaction = repository.transaction()?;
/// let stored = transaction.put(b"the content of an object")?;
/// let id = transaction.commit(stored.id)?.into_inner();
/// assert_eq!(repository.read_object(&id, 1000)?, b"the content of an object");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Repository(Arc<Inner>);

struct Inner {
    dir: Dir,
    meta: Meta,
    allowed: Allowed,
    objects: Objects,
    staging: OnceLock<Arc<Staging>>,
    lock: Arc<RepositoryLock>,
}

impl Repository {
    /// Opens a repository; waits up to [`OPEN_PATIENCE`] for a gc to end.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such folder or it is empty, [`Error::Foreign`] when it holds something else,
    /// [`Error::Unsupported`] for a newer version, unknown incompatible features, or the format before `meta.json`,
    /// [`Error::Verity`] when it was sealed once and is not any more, [`Error::Busy`] during a long gc.
    pub fn open(disk: &Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let missing = || Error::Missing { what: format!("repository at {}", path.display()) };
        let dir = Dir::open(disk, path).optional()?.ok_or_else(missing)?;
        let Some(file) = dir.open_file(layout::META).optional()? else {
            return Err(without_meta(&dir)?);
        };
        let lock = RepositoryLock::open(dir.clone(), OPEN_PATIENCE)?;
        let content = file.read_all(META_LIMIT)?;
        let meta = Meta::from_json(&content).map_err(|reason| Error::Foreign {
            path: path.to_owned(),
            reason: format!("its {} is unreadable: {reason}", layout::META),
        })?;
        let unsupported = |reason| Error::Unsupported { path: path.to_owned(), reason };
        let (algorithm, allowed) = meta.check().map_err(unsupported)?;
        let (mode, sealed) = Verity::of_repository(&dir, &file)?;
        if sealed.is_some_and(|sealed| sealed != verity::digest(sealed.algorithm(), &content)) {
            return Err(Error::corrupt(
                path.join(layout::META).display().to_string(),
                "it changed while being read",
            ));
        }
        let objects = Objects::new(dir.clone(), algorithm, mode);
        let staging = OnceLock::new();
        Ok(Self(Arc::new(Inner { dir, meta, allowed, objects, staging, lock })))
    }

    /// Begins to write. The repository is protected from gc until the transaction ends.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when the file system or a feature of the repository forbids writing.
    pub fn transaction(&self) -> Result<Transaction> {
        self.require_writable()?;
        // The lock first: what is looked up from here on stays until the names are durable (D12).
        let guard = self.0.lock.shared();
        self.staging()?;
        Transaction::new(self.clone(), guard, unsynced::found(self)?)
    }

    pub(crate) fn require_writable(&self) -> Result<()> {
        match &self.0.allowed {
            Allowed::Everything => Ok(()),
            Allowed::Reading(features) => Err(Error::ReadOnly {
                path: self.0.dir.label().to_owned(),
                reason: format!("features that this version does not know: {}", features.join(", ")),
            }),
        }
    }

    /// Waits until nobody else uses the repository, in any process.
    pub(crate) fn exclusive(&self, patience: Duration) -> Result<ExclusiveGuard> {
        self.0.lock.exclusive(patience)
    }

    /// Keeps gc out for a while.
    pub(crate) fn shared(&self) -> SharedGuard {
        self.0.lock.shared()
    }

    /// Where temporary files are made; found out once.
    pub(crate) fn staging(&self) -> Result<&Arc<Staging>> {
        if let Some(staging) = self.0.staging.get() {
            return Ok(staging);
        }
        let own = self.0.dir.ensure_dir(layout::OWN, layout::FOLDER_MODE)?;
        let staging = Arc::new(Staging::open(&own)?);
        Ok(self.0.staging.get_or_init(|| staging))
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// The repository's folder: for mounting, for locks, and for the space of its file system.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.0.dir
    }

    /// What `meta.json` says.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.0.meta
    }

    /// The fs-verity algorithm of the objects.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.objects.algorithm
    }

    /// Who guards the objects.
    #[must_use]
    pub fn verity(&self) -> Verity {
        self.0.objects.verity
    }

    /// The folder of the objects: what overlayfs and `mount.composefs` take as data.
    ///
    /// # Errors
    /// [`Error::Missing`] in a repository without any object.
    pub fn objects_dir(&self) -> Result<Dir> {
        self.0.objects.root()?.cloned().ok_or_else(|| Error::Missing { what: "object".to_owned() })
    }

    /// Opens an object. With [`Verity::Required`] the kernel has confirmed its id and checks what is read; otherwise
    /// **its bytes are unchecked** until they are hashed: prefer [`Repository::read_object`] and
    /// [`Repository::copy_object`].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Verity`] or [`Error::Corrupt`] by what the kernel says.
    pub fn open_object(&self, id: &ObjectId) -> Result<File> {
        self.0.objects.open(id)
    }

    /// Whether there is an object with this id. Says nothing about its content.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has_object(&self, id: &ObjectId) -> Result<bool> {
        // Any size is "damaged" or "good", none is missing.
        Ok(self.0.objects.find(id, 0)? != crate::objects::Found::Missing)
    }

    /// The checked content of an object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::TooBig`], [`Error::Corrupt`] when the content is not the id's.
    pub fn read_object(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>> {
        let content = self.open_object(id)?.read_all(limit)?;
        if self.verity() != Verity::Required {
            check(id, verity::digest(id.algorithm(), &content))?;
        }
        Ok(content)
    }

    /// The checked content of an object, mapped: for images and streams, which may be too big to be copied.
    ///
    /// # Errors
    /// As [`Repository::read_object`].
    pub fn map_object(&self, id: &ObjectId) -> Result<Map> {
        let file = self.open_object(id)?;
        // What has to be hashed is read whole.
        let access = if self.verity() == Verity::Required { Access::Sequential } else { Access::Whole };
        let map = Map::of(&file, access).map_err(|error| {
            Error::at("map", file.label(), Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
        })?;
        if self.verity() != Verity::Required {
            check(id, verity::digest(id.algorithm(), &map))?;
        }
        Ok(map)
    }

    /// Passes the content of an object on, piece by piece, and checks it: the error comes after the pieces.
    /// Gives the size in bytes.
    ///
    /// # Errors
    /// As [`Repository::read_object`], and what `sink` returns.
    pub fn copy_object(&self, id: &ObjectId, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let file = self.open_object(id)?;
        self.copy_opened(id, &file, &mut sink)
    }

    /// The same of an object that is open.
    pub(crate) fn copy_opened(
        &self,
        id: &ObjectId,
        file: &File,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut hasher = (self.verity() != Verity::Required).then(|| Hasher::new(id.algorithm()));
        let mut buffer = vec![0; FIRST_CHUNK];
        let mut offset = 0;
        loop {
            let count = file.read_at(offset, &mut buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            sink(piece)?;
            offset += count as u64;
            if count == FIRST_CHUNK {
                buffer.resize(READ_CHUNK, 0);
            }
        }
        if let Some(hasher) = hasher {
            check(id, hasher.finish())?;
        }
        Ok(offset)
    }
}

/// Compares what an object should be with what it is.
pub(crate) fn check(id: &ObjectId, found: ObjectId) -> Result<()> {
    if *id == found {
        return Ok(());
    }
    Err(Error::corrupt(format!("object {id}"), format!("its content has the digest {found}")))
}

/// What to say about a folder without `meta.json`.
fn without_meta(dir: &Dir) -> Result<Error> {
    let path = dir.label().to_owned();
    if dir.exists(layout::OBJECTS)? {
        let reason =
            "it has objects but no meta.json, as composefs before 0.7 made it; `cfsctl init` upgrades it";
        return Ok(Error::Unsupported { path, reason: reason.to_owned() });
    }
    if dir.read_dir()?.iter().all(|entry| entry.name == layout::OWN) {
        return Ok(Error::Missing { what: format!("repository at {}", path.display()) });
    }
    Ok(Error::Foreign { path, reason: format!("it holds other files and no {}", layout::META) })
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("dir", &self.0.dir)
            .field("algorithm", &self.algorithm())
            .field("verity", &self.verity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
