//! [`Collector`]: entries on their way into the index, in bounded memory.

use std::sync::Arc;

use super::{ContentDigest, ContentIndex, segment, segment::Segment};
use crate::{
    Error, ObjectId, Repository, Result, layout,
    temporary::{Staging, Temporary},
};

/// Entries that are held in memory before they are written, some 5 MiB.
const HELD: usize = 64 << 10;

/// Segments that may lie side by side. A lookup asks each of them.
const SEGMENTS: usize = 8;

/// One entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedContent {
    /// The SHA-256 of the content.
    pub content: ContentDigest,
    /// The object that has it.
    pub object: ObjectId,
    /// Its size in bytes.
    pub size: u64,
}

/// Entries that have no name yet.
#[derive(Default)]
pub(crate) struct Collector {
    held: Vec<IndexedContent>,
    written: Vec<(String, Temporary)>,
}

/// Segments that wait to be named, and those that they take the place of.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) segments: Vec<(String, Temporary)>,
    pub(crate) superseded: Vec<String>,
}

impl Sealed {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.superseded.is_empty()
    }
}

impl Collector {
    /// Takes an entry.
    pub(crate) fn push(&mut self, repository: &Repository, entry: IndexedContent) -> Result<()> {
        self.held.push(entry);
        if self.held.len() >= HELD { self.flush(repository) } else { Ok(()) }
    }

    /// Writes what is held.
    fn flush(&mut self, repository: &Repository) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.held.sort_unstable_by_key(|entry| entry.content);
        self.held.dedup_by_key(|entry| entry.content);
        let count = self.held.len() as u64;
        self.written.push(written(repository, count, self.held.drain(..))?);
        Ok(())
    }

    /// Writes what is left. With many segments beside them, all become one.
    pub(crate) fn seal(mut self, repository: &Repository) -> Result<Sealed> {
        self.flush(repository)?;
        if self.written.is_empty() {
            return Ok(Sealed::default());
        }
        let index = repository.content_index()?;
        if index.segments.len() + self.written.len() <= SEGMENTS {
            return Ok(Sealed { segments: self.written, superseded: Vec::new() });
        }
        self.into_one(repository, index)
    }

    /// One segment of what is written and of the whole index.
    pub(crate) fn into_one(mut self, repository: &Repository, index: ContentIndex) -> Result<Sealed> {
        self.flush(repository)?;
        let superseded = index.names();
        let mut segments = index.segments;
        for (name, temporary) in &self.written {
            let segment = Segment::of(&temporary.file, repository.algorithm());
            segments.push(segment.map_err(|reason| Error::corrupt(format!("new segment {name}"), reason))?);
        }
        if segments.is_empty() {
            return Ok(Sealed::default());
        }
        let count = segment::merge(&segments).count() as u64;
        let (name, temporary) = written(repository, count, segment::merge(&segments))?;
        let superseded = superseded.into_iter().filter(|old| *old != name).collect();
        Ok(Sealed { segments: vec![(name, temporary)], superseded })
    }
}

/// A new segment without a name in the folder; gives the one that it shall have.
pub(super) fn written(
    repository: &Repository,
    count: u64,
    entries: impl Iterator<Item = IndexedContent>,
) -> Result<(String, Temporary)> {
    let staging: &Arc<Staging> = repository.staging()?;
    let temporary = staging.create(&staging.dir, layout::OBJECT_MODE)?;
    let name = segment::write(&temporary.file, repository.algorithm(), count, entries)?;
    Ok((name, temporary))
}
