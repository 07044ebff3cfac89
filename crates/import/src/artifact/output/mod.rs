//! Where an artifact's file goes: [`ArtifactOutput`], and those for a file ([`FileOutput`]), a device, and a stream.

mod device;
mod file;
mod partial;
mod stream;
mod target;

pub use file::FileOutput;
pub use partial::PartialFile;
pub use stream::StreamOutput;
pub use target::Target;

use crate::{DigestHasher, error::Result};

/// Takes a file's bytes in order, and hears at the end whether they were right.
pub trait ArtifactOutput: Send {
    /// What it has of this very blob from an earlier try: hashed with `hasher`, and counted. Only asked where the blob is
    /// the file itself, and before the first write.
    ///
    /// # Errors
    /// When it cannot be read.
    fn resume(&mut self, _hasher: &mut DigestHasher) -> Result<u64> {
        Ok(0)
    }

    /// Forgets what [`resume`](Self::resume) found.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn restart(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes the next bytes. **They are not verified yet.**
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// All bytes came and are what they should be: makes them durable, and lets them be seen.
    ///
    /// # Errors
    /// When the disk fails.
    fn finish(&mut self) -> Result<()>;

    /// The rest does not come: keeps what can be gone on with.
    fn keep(&mut self) {}

    /// The bytes are wrong, or of no use without the rest: forgets them as far as that is possible.
    fn discard(&mut self) {}
}
