//! [`Reserve`]: how much of the repository's file system an import leaves free, and [`SpaceWatch`], which holds it.
//!
//! How much an import takes is not known before: a manifest tells the size of compressed blobs, and what of their content
//! is in the store already is known only when it was read. What is known is the least: of an image that shares nothing with
//! the store, as much as its blobs. So an import into an empty repository is refused at once if that does not fit; any
//! other goes on as long as the reserve is untouched, and nothing of it is named once it is touched.

use sealstone_store::{Optional, Repository, disk::Dir};

use crate::error::{ImportError, Result};

/// What is kept free, on file systems that count inodes.
const INODES: u64 = 1024;

/// What is kept free of a repository's file system. The default is 3 % of it, and at most 1 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve(Option<u64>);

impl Reserve {
    /// The most that the default keeps, in bytes.
    const MOST: u64 = 1 << 30;

    /// So many bytes; with 0 nothing is kept, no inodes either.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(Some(bytes))
    }

    /// How many bytes of a file system of `total` bytes.
    #[must_use]
    pub const fn of(self, total: u64) -> u64 {
        match self.0 {
            Some(bytes) => bytes,
            None if total / 100 * 3 > Self::MOST => Self::MOST,
            None => total / 100 * 3,
        }
    }
}

/// Compares what is free with what is to be kept.
#[derive(Debug)]
pub(crate) struct SpaceWatch {
    dir: Dir,
    reserve: Reserve,
}

impl SpaceWatch {
    pub(crate) fn new(repository: &Repository, reserve: Reserve) -> Self {
        Self { dir: repository.dir().clone(), reserve }
    }

    /// Before anything is written: an import that reads blobs of `bytes` together.
    ///
    /// # Errors
    /// [`ImportError::NoSpace`] when it cannot fit.
    pub(crate) fn admit(&self, repository: &Repository, bytes: u64) -> Result<()> {
        self.check(0)?;
        match self.check(bytes) {
            // What the store has need not be written.
            Err(ImportError::NoSpace { .. }) if !is_empty(repository)? => Ok(()),
            other => other,
        }
    }

    /// Whether the reserve is untouched, and would be after `bytes` more.
    pub(crate) fn check(&self, bytes: u64) -> Result<()> {
        let space = self.dir.space()?;
        let reserve = self.reserve.of(space.total);
        let short = |unit, needed, free, reserve| {
            let place = self.dir.label().display().to_string();
            Err(ImportError::NoSpace { place, unit, needed, free, reserve })
        };
        if space.available < reserve.saturating_add(bytes) {
            return short("bytes", bytes, space.available, reserve);
        }
        let is_counted = space.free_inodes > 0;
        if reserve > 0 && is_counted && space.free_inodes < INODES {
            return short("inodes", 0, space.free_inodes, INODES);
        }
        Ok(())
    }
}

/// Whether there are no objects at all.
fn is_empty(repository: &Repository) -> Result<bool> {
    let Some(objects) = repository.objects_dir().optional()? else { return Ok(true) };
    for entry in objects.read_dir()? {
        if !objects.open_dir(&entry.name)?.read_dir()?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_share_and_never_more_than_a_gibibyte() {
        assert_eq!(Reserve::default().of(10_000), 300);
        assert_eq!(Reserve::default().of(1 << 50), 1 << 30);
        assert_eq!(Reserve::bytes(7).of(10_000), 7);
        assert_eq!(Reserve::bytes(0).of(10_000), 0);
    }
}
