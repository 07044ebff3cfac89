//! Files of a source: opened by rules, and read as blobs.
//!
//! Invariant: a name below a folder of images leads through no symlink, and to a regular file or to an error.

use std::borrow::Borrow;

use rustix::io::Errno;
use sealstone_store::{
    Error as StoreError,
    disk::{Dir, File, FileType},
};

use super::Blob;
use crate::error::{ImportError, Result};

/// Opens a regular file below a folder; `None` when it is not there.
pub(super) fn open_file(dir: &Dir, name: &str) -> Result<Option<File>> {
    let refuse = |reason| Err(ImportError::malformed(format!("{}/{name}", dir.label().display()), reason));
    let file = match dir.open_file(name) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) if error.errno() == Some(Errno::LOOP) => {
            return refuse("a symlink is on its way, which could lead anywhere");
        }
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.kind {
        FileType::File => Ok(Some(file)),
        _ => refuse("it is not a regular file"),
    }
}

/// Reads a small file below a folder; `None` when it is not there.
pub(super) fn find_file(dir: &Dir, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    match open_file(dir, name)?.map(|file| file.read_all(limit)) {
        None => Ok(None),
        Some(Ok(bytes)) => Ok(Some(bytes)),
        Some(Err(StoreError::TooBig { what, limit })) => Err(ImportError::TooBig { what, limit }),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Reads a small file below a folder, which has to be there.
pub(super) fn read_file(dir: &Dir, name: &str, limit: u64) -> Result<Vec<u8>> {
    let missing =
        || ImportError::Missing { what: format!("file {name}"), place: dir.label().display().to_string() };
    find_file(dir, name, limit)?.ok_or_else(missing)
}

/// A file or a part of it, as a blob; the file is owned or borrowed.
pub(super) struct FileBlob<F> {
    file: F,
    at: u64,
    end: u64,
}

impl<F: Borrow<File>> FileBlob<F> {
    /// All of it.
    pub(super) const fn whole(file: F) -> Self {
        Self { file, at: 0, end: u64::MAX }
    }

    /// So many bytes, from an offset on; fewer when the file ends before.
    pub(super) const fn part(file: F, offset: u64, len: u64) -> Self {
        Self { file, at: offset, end: offset.saturating_add(len) }
    }
}

impl<F: Borrow<File> + Send> Blob for FileBlob<F> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = self.file.borrow().read_at(self.at, buffer.get_mut(..room).unwrap_or_default())?;
        self.at += count as u64;
        Ok(count)
    }
}
