//! Reading a part of something: an opened file, or bytes in memory.
//!
//! What lives here: the one way in which PE images are read, so that none is ever held whole. What does not: formats.

use sealstone_store::disk::File;

use crate::BootError;

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Bytes that can be read anywhere.
pub trait ReadAt {
    /// How many there are.
    ///
    /// # Errors
    /// When the disk fails.
    fn size(&self) -> Result<u64, BootError>;

    /// Fills the buffer from an offset on.
    ///
    /// # Errors
    /// [`BootError::Malformed`] or the store's error when there are fewer.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BootError>;
}

impl ReadAt for File {
    fn size(&self) -> Result<u64, BootError> {
        Ok(self.metadata()?.size)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BootError> {
        Ok(Self::read_exact_at(self, offset, buffer)?)
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> Result<u64, BootError> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BootError> {
        let start = usize::try_from(offset).ok();
        let found = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        let found = found.ok_or_else(|| BootError::malformed("the file", "it ends early"))?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> Result<u64, BootError> {
        self.as_slice().size()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BootError> {
        self.as_slice().read_exact_at(offset, buffer)
    }
}

/// Hands the bytes from `start` to `end` to `take`, piece by piece.
pub(super) fn read_range(
    file: &dyn ReadAt,
    (start, end): (u64, u64),
    mut take: impl FnMut(&[u8]) -> Result<(), BootError>,
) -> Result<(), BootError> {
    let mut buffer = vec![0; PIECE];
    let mut at = start;
    while at < end {
        let count = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get_mut(..count).unwrap_or_default();
        file.read_exact_at(at, piece)?;
        take(piece)?;
        at += count as u64;
    }
    Ok(())
}
