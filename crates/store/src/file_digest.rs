//! Whether a file that shares its blocks with another one has the content that its object's name promises.
//!
//! What lives here: reading it to its end. What does not: files that the kernel guards, which need not be read.

use crate::{ObjectId, Result, disk::File, repository::check, verity::Hasher};

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Reads a file, and gives its size in bytes.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) when its content has another digest, and the disk's.
pub(crate) fn check_file(id: &ObjectId, file: &File) -> Result<u64> {
    let mut hasher = Hasher::new(id.algorithm());
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        let count = file.read_at(at, &mut buffer)?;
        if count == 0 {
            check(id, hasher.finish())?;
            return Ok(at);
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
}
