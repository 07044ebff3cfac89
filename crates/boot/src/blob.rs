//! A file to be copied to a boot partition: bytes that the image holds itself, or an open object.
//!
//! What lives here: reading in pieces, so that no kernel is ever held whole. What does not: which file (the kernel) and
//! where it goes (the ESP).

use sealstone_store::disk::File;

use crate::BootError;

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// The content of a boot file, ready to be read.
#[derive(Debug)]
pub enum Blob {
    /// A small file whose bytes are in the image.
    Bytes(Vec<u8>),
    /// An object of the repository, and how many bytes it must have.
    Object(File, u64),
}

impl Blob {
    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Object(_, size) => *size,
        }
    }

    /// Hands the content to `take` piece by piece, each with its offset.
    ///
    /// # Errors
    /// [`BootError::Corrupt`] when an object has another size than the image says, and what `take` returns.
    pub fn read(&self, mut take: impl FnMut(u64, &[u8]) -> Result<(), BootError>) -> Result<(), BootError> {
        match self {
            Self::Bytes(bytes) => take(0, bytes),
            Self::Object(file, size) => {
                let read = read_file(file, &mut take)?;
                if read == *size {
                    return Ok(());
                }
                let reason = format!("it has {read} bytes, and the image says {size}");
                Err(BootError::Corrupt { what: file.label().display().to_string(), reason })
            }
        }
    }
}

/// Reads a file to its end, piece by piece, and returns its size in bytes.
pub(crate) fn read_file(
    file: &File,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), BootError>,
) -> Result<u64, BootError> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { return Ok(offset) };
        take(offset, read)?;
        offset += count as u64;
    }
}
