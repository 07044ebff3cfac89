//! A file to be copied to a boot partition: bytes that the image holds itself, or an object of the repository.
//!
//! What lives here: reading in pieces, so that no kernel is ever held whole, and telling whether a file is a copy. What does
//! not: which file (the kernel) and where it goes (the ESP).
//! Invariant: an object's bytes are checked against its id, by the kernel or by the store, before anything is made of them;
//! what a [`BootPair`](crate::BootPair) has was checked when that was made.

use sealstone_store::{Error, ObjectId, Repository, Result, Verity, disk::File};

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

    /// Reads an object to its end, unless the kernel guards it: what is wrong with it is told.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Corrupt`] when an object is not what its id and the image say.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Object(repository, id, size) if repository.verity() == Verity::Required => {
                check_size(id, repository.open_object(id)?.metadata()?.size, *size)
            }
            _ => self.read(|_, _| Ok(())),
        }
    }

    /// Hands the content to `take` piece by piece, unchecked: only for what is checked elsewhere.
    pub(crate) fn read_unchecked(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Bytes(bytes) => take(bytes),
            Self::Object(repository, id, _) => read_file(&repository.open_object(id)?, take)?,
        }
        Ok(())
    }

    /// Makes an empty file's content this, unchecked: only for what was checked.
    pub(crate) fn copy_unchecked(&self, to: &File) -> Result<()> {
        match self {
            Self::Bytes(bytes) => to.write_all_at(0, bytes),
            Self::Object(repository, id, _) => to.copy_from(&repository.open_object(id)?).map(drop),
        }
    }

    /// Whether a file has exactly this content, byte by byte.
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
            Self::Object(repository, id, _) => have_same_bytes(file, &repository.open_object(id)?),
        }
    }
}

fn have_same_bytes(one: &File, other: &File) -> Result<bool> {
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let count = one.read_at(offset, &mut left)?;
        let Some(left) = left.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(other.read_at(offset, &mut right)? == 0);
        };
        let right = right.get_mut(..count).unwrap_or_default();
        let mut filled = 0;
        while let Some(rest) = right.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match other.read_at(offset + filled as u64, rest)? {
                0 => return Ok(false),
                more => filled += more,
            }
        }
        if left != right {
            return Ok(false);
        }
        offset += count as u64;
    }
}

fn check_size(id: &ObjectId, there: u64, wanted: u64) -> Result<()> {
    if there == wanted {
        return Ok(());
    }
    let reason = format!("it has {there} bytes, and the image says {wanted}");
    Err(Error::corrupt(format!("object {id}"), reason))
}

/// Hands a file's bytes to `take` piece by piece.
pub(crate) fn read_file(file: &File, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
        take(read);
        offset += count as u64;
    }
}
