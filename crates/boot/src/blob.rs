//! A file to be copied to a boot partition: bytes that the image holds itself, or an object of the repository.
//!
//! What lives here: reading in pieces, so that no kernel is ever held whole, and telling whether a file is a copy. What does
//! not: which file (the kernel) and where it goes (the ESP).
//! Invariant: an object's bytes are checked against its id before anybody relies on them: when they are read, or, of what is
//! copied, when the copy is.

use sealstone_store::{
    Error, ObjectId, Repository, Result,
    disk::File,
    verity::{Hasher, digest_read},
};

use crate::SIDE_BY_SIDE;

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// The content of a boot file, ready to be read.
#[derive(Clone, Debug)]
pub enum Blob {
    /// A small file whose bytes are in the image.
    Bytes(Vec<u8>),
    /// An object, and how many bytes the image says that it has.
    Object(Repository, ObjectId, u64),
}

impl Blob {
    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Object(_, _, size) => *size,
        }
    }

    /// Hands the content to `take` piece by piece, each with its offset. An error about the content as a whole comes
    /// after the pieces.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Corrupt`] when an object is not what its id and the image say, and what `take` returns.
    pub fn read(&self, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        match self {
            Self::Bytes(bytes) => take(0, bytes),
            Self::Object(repository, id, size) => {
                let mut offset = 0;
                let read = repository.copy_object(id, |piece| {
                    take(offset, piece)?;
                    offset += piece.len() as u64;
                    Ok(())
                })?;
                check_size(id, read, *size)
            }
        }
    }

    /// Hands the content to `take` piece by piece, unchecked: only for what is checked when its copy is read.
    pub(crate) fn read_unchecked(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Bytes(bytes) => take(bytes),
            Self::Object(repository, id, size) => {
                let read = read_file(&repository.open_object(id)?, take)?;
                check_size(id, read, *size)?;
            }
        }
        Ok(())
    }

    /// Makes an empty file's content this, unchecked: [`is_copy`](Self::is_copy) of the file has to follow.
    pub(crate) fn copy_to(&self, file: &File) -> Result<()> {
        match self {
            Self::Bytes(bytes) => file.write_all_at(0, bytes),
            Self::Object(repository, id, _) => file.copy_from(&repository.open_object(id)?).map(drop),
        }
    }

    /// Whether a file has exactly this content. An object is told by its id alone, so that a damaged one has no copies.
    pub(crate) fn is_copy(&self, file: &File) -> Result<bool> {
        if file.metadata()?.size != self.size() {
            return Ok(false);
        }
        match self {
            Self::Bytes(bytes) => {
                let mut rest = Some(bytes.as_slice());
                read_file(file, |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)))?;
                Ok(rest.is_some_and(<[u8]>::is_empty))
            }
            Self::Object(_, id, size) if *size >= SIDE_BY_SIDE => {
                let read = |offset, buffer: &mut [u8]| file.read_exact_at(offset, buffer);
                Ok(digest_read(id.algorithm(), *size, read)? == *id)
            }
            Self::Object(_, id, _) => {
                let mut hasher = Hasher::new(id.algorithm());
                read_file(file, |piece| hasher.update(piece))?;
                Ok(hasher.finish() == *id)
            }
        }
    }
}

fn check_size(id: &ObjectId, there: u64, wanted: u64) -> Result<()> {
    if there == wanted {
        return Ok(());
    }
    let reason = format!("it has {there} bytes, and the image says {wanted}");
    Err(Error::corrupt(format!("object {id}"), reason))
}

/// Hands a file's bytes to `take` piece by piece; gives their number.
pub(crate) fn read_file(file: &File, mut take: impl FnMut(&[u8])) -> Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { return Ok(offset) };
        take(read);
        offset += count as u64;
    }
}
