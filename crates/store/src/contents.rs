//! [`ContentIndex`]: which object has a content with this SHA-256.
//!
//! The world names contents by SHA-256 (the table of a zstd:chunked layer does), objects have fs-verity digests. Entries
//! are made only from bytes that were hashed here, and lie in segments: sorted files that are never changed, only merged
//! into new ones. The index is a hint and can be thrown away: a segment that is damaged is as one that is not there, an
//! entry whose object is gone is as none, and whoever builds on an entry proves what comes of it.

mod collect;
mod maintain;
mod make;
mod segment;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Repository, Result, disk::Dir, error::Optional, layout, objects::Found};

pub use collect::IndexedContent;
pub(crate) use collect::{Collector, Sealed};
pub(crate) use maintain::{check, prune, publish, rebuild};
pub use make::{IndexOptions, IndexReport};
use segment::Segment;

/// The SHA-256 of a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a [`ContentDigest`] while bytes stream by.
#[derive(Clone, Default)]
pub struct ContentHasher(Sha256);

impl ContentHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(self) -> ContentDigest {
        ContentDigest(self.0.finalize().into())
    }
}

impl fmt::Debug for ContentHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentHasher").finish_non_exhaustive()
    }
}

/// The index as it was when it was opened.
pub struct ContentIndex {
    repository: Repository,
    segments: Vec<Segment>,
    damaged: Vec<DamagedSegment>,
}

/// A segment that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct DamagedSegment {
    /// From the repository on.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl Repository {
    /// Opens the index of contents; its segments are checked. It has nothing in a repository that was never indexed.
    ///
    /// # Errors
    /// When the folder cannot be listed. A damaged segment only makes its entries not count.
    pub fn content_index(&self) -> Result<ContentIndex> {
        let mut index = ContentIndex { repository: self.clone(), segments: Vec::new(), damaged: Vec::new() };
        let Some(folder) = folder(self)? else { return Ok(index) };
        for entry in folder.read_dir()? {
            let name = entry.name.to_string_lossy();
            match Segment::open(&folder, &name, self.algorithm()) {
                Ok(Some(segment)) => index.segments.push(segment),
                // Another process has just merged it into a new one.
                Ok(None) => {}
                Err(reason) => {
                    let path = format!("{}/{}/{name}", layout::OWN, layout::CONTENTS);
                    index.damaged.push(DamagedSegment { path, reason });
                }
            }
        }
        Ok(index)
    }
}

/// The folder of the segments, if it is there.
fn folder(repository: &Repository) -> Result<Option<Dir>> {
    let Some(own) = repository.dir().open_dir(layout::OWN).optional()? else { return Ok(None) };
    own.open_dir(layout::CONTENTS).optional()
}

impl ContentIndex {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.len() == 0)
    }

    /// How many entries there are; one that is in several segments counts in each.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len() as u64).sum()
    }

    /// What is wrong with segments that cannot be read, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.damaged.iter().map(|one| format!("{} is ignored: {}", one.path, one.reason)).collect()
    }

    /// The object that has this content: it is there, with the size that the entry says.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn find(&self, content: &ContentDigest) -> Result<Option<IndexedContent>> {
        for entry in self.segments.iter().filter_map(|segment| segment.find(content)) {
            if self.repository.objects().find(&entry.object, entry.size)? == Found::Good {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Whether the index says this already.
    pub(crate) fn has(&self, entry: &IndexedContent) -> bool {
        self.segments.iter().any(|segment| segment.find(&entry.content).as_ref() == Some(entry))
    }

    /// All entries, ascending; one that is in several segments comes once.
    pub(crate) fn entries(&self) -> impl Iterator<Item = IndexedContent> + '_ {
        segment::merge(&self.segments)
    }

    pub(crate) fn damaged(&self) -> &[DamagedSegment] {
        &self.damaged
    }

    fn names(&self) -> Vec<String> {
        self.segments.iter().map(|segment| segment.name().to_owned()).collect()
    }
}

impl fmt::Debug for ContentIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentIndex")
            .field("entries", &self.len())
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
