//! [`LayerWriter`]: makes a layer's blob while its tar goes by. A format of blobs implements it; see
//! [`BlobFormat::writer`](super::BlobFormat::writer).

use std::collections::BTreeMap;

use crate::error::Result;

/// Where a blob's bytes go; whoever has it counts and hashes them.
pub trait BlobSink {
    /// Takes the next bytes of the blob.
    ///
    /// # Errors
    /// When the disk fails.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Makes a blob of a tar, in one pass and in bounded memory. The same tar gives the same blob.
pub trait LayerWriter: Send {
    /// Takes the next bytes of the tar, cut anywhere; writes what they make of the blob, now or later.
    ///
    /// # Errors
    /// When the blob cannot be written, or the tar is of a kind that the format cannot hold.
    fn write(&mut self, tar: &[u8], blob: &mut dyn BlobSink) -> Result<()>;

    /// The tar has ended: writes the rest. Gives the annotations that the layer's descriptor has to have.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(self: Box<Self>, blob: &mut dyn BlobSink) -> Result<BTreeMap<String, String>>;
}
