//! A file to be copied to a boot partition: bytes that the image holds itself, or an object of the repository.
//!
//! What lives here: reading in pieces, so that no kernel is ever held whole. What does not: which file (the kernel) and
//! where it goes (the ESP). Invariant: an object's bytes are checked against its id, by the kernel or by the store.

use sealstone_store::{ObjectId, Repository, Result, disk::File};

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
                if read == *size {
                    return Ok(());
                }
                let reason = format!("it has {read} bytes, and the image says {size}");
                Err(sealstone_store::Error::corrupt(format!("object {id}"), reason))
            }
        }
    }
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
