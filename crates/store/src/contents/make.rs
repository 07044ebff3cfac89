//! Indexing what the store has already: reads objects, hashes them, and commits their entries.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rayon::prelude::*;
use serde::Serialize;

use super::{ContentDigest, ContentHasher, IndexedContent};
use crate::{
    Control, Durable, Error, ObjectId, Repository, Result,
    control::{Task, Unit, Work},
    disk::{Dir, FileType},
    layout, mark,
};

/// What [`Repository::index_contents`] shall do.
#[derive(Clone, Debug, Default)]
pub struct IndexOptions {
    /// Only count: nothing is read, nothing is written.
    pub dry_run: bool,
}

/// What it did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexReport {
    /// Whether nothing was done in fact.
    pub dry_run: bool,
    /// Objects that are there.
    pub objects: u64,
    /// Those of them that the index had.
    pub known_objects: u64,
    /// Those that it got.
    pub indexed_objects: u64,
    /// The bytes of those, which were read.
    pub indexed_bytes: u64,
    /// Objects that are damaged: they were passed over, fsck tells more.
    pub damaged_objects: u64,
}

impl Repository {
    /// Puts every object that is not in the index into it. Each is read and checked. Objects that gc removes meanwhile
    /// cannot be: it waits.
    ///
    /// # Errors
    /// When the disk fails, or [`Error::Cancelled`]: the index is as it was then.
    pub fn index_contents(&self, options: &IndexOptions, control: &Control) -> Result<Durable<IndexReport>> {
        let transaction = self.transaction()?;
        let known = transaction.content_index()?.entries().map(|entry| entry.object).collect();
        let sink = |entry| transaction.push_content(entry);
        let report =
            Making { repository: self, known, dry_run: options.dry_run, sink: &sink, control }.run()?;
        control.check()?;
        transaction.commit(report)
    }
}

/// A pass over all objects.
pub(super) struct Making<'a> {
    pub(super) repository: &'a Repository,
    /// Those that are passed over.
    pub(super) known: HashSet<ObjectId>,
    pub(super) dry_run: bool,
    pub(super) sink: &'a (dyn Fn(IndexedContent) -> Result<()> + Sync),
    pub(super) control: &'a Control,
}

#[derive(Default)]
struct Counts {
    objects: AtomicU64,
    known: AtomicU64,
    indexed: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
}

impl Making<'_> {
    pub(super) fn run(&self) -> Result<IndexReport> {
        let pool = mark::pool(self.control)?;
        let counts = Counts::default();
        let task = Mutex::new(self.control.start(Work::Index, "", None, Unit::Bytes));
        let fold = |first: u8| match self.repository.objects().folder(first)? {
            Some(folder) => self.folder(folder, first, &counts, &task),
            None => Ok(()),
        };
        pool.install(|| (0..=u8::MAX).into_par_iter().try_for_each(fold))?;
        task.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        let of = |count: AtomicU64| count.into_inner();
        Ok(IndexReport {
            dry_run: self.dry_run,
            objects: of(counts.objects),
            known_objects: of(counts.known),
            indexed_objects: of(counts.indexed),
            indexed_bytes: of(counts.bytes),
            damaged_objects: of(counts.damaged),
        })
    }

    fn folder(&self, folder: &Dir, first: u8, counts: &Counts, task: &Mutex<Task>) -> Result<()> {
        let prefix = layout::fan_out(first);
        for entry in folder.read_dir()? {
            self.control.check()?;
            let id = entry.name.to_str().and_then(|name| layout::object_of_parts(&prefix, name));
            let ours =
                |id: &ObjectId| entry.kind == FileType::File && id.algorithm() == self.repository.algorithm();
            let Some(id) = id.filter(ours) else { continue };
            counts.objects.fetch_add(1, Ordering::Relaxed);
            if self.known.contains(&id) {
                counts.known.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let size = if self.dry_run { Some(folder.metadata(&entry.name)?.size) } else { self.object(id)? };
            let Some(size) = size else {
                counts.damaged.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            counts.indexed.fetch_add(1, Ordering::Relaxed);
            counts.bytes.fetch_add(size, Ordering::Relaxed);
            task.lock().unwrap_or_else(PoisonError::into_inner).advance(size);
        }
        Ok(())
    }

    /// Hashes an object and hands its entry over; gives its size, or nothing if it is damaged.
    fn object(&self, object: ObjectId) -> Result<Option<u64>> {
        match hash(self.repository, &object, self.control) {
            Ok((content, size)) => {
                (self.sink)(IndexedContent { content, object, size })?;
                Ok(Some(size))
            }
            Err(Error::Corrupt { .. } | Error::Verity { .. } | Error::Io { .. } | Error::Missing { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The SHA-256 and the size of an object, whose content is checked on the way.
pub(super) fn hash(
    repository: &Repository,
    object: &ObjectId,
    control: &Control,
) -> Result<(ContentDigest, u64)> {
    let mut hasher = ContentHasher::default();
    let size = repository.copy_object(object, |piece| {
        control.check()?;
        hasher.update(piece);
        Ok(())
    })?;
    Ok((hasher.finish(), size))
}
