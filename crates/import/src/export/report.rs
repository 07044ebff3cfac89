//! What an export or a push did.

use super::BlobFormat;
use crate::{BlobDigest, ConfigDigest, DiffId, ManifestDigest};

/// How a layer's blob came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobOrigin {
    /// The destination had the blob that the image's manifest names.
    Present,
    /// Made of the tar, and it is the blob that the manifest names, byte for byte.
    Reproduced,
    /// Made of the tar, and another blob than the manifest names: the store does not keep compressed blobs, and another
    /// compressor had made it, or another compression was asked for.
    Recompressed,
}

/// One layer that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedLayer {
    /// The layer's tar.
    pub diff_id: DiffId,
    /// Its blob, in the manifest that went out.
    pub blob: BlobDigest,
    /// Bytes of that.
    pub blob_bytes: u64,
    /// Bytes of the tar; 0 when it was not read.
    pub tar_bytes: u64,
    /// What the blob is.
    pub format: BlobFormat,
    /// How it came about.
    pub origin: BlobOrigin,
}

/// What went out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The manifest that the image was imported with.
    pub stored_manifest: ManifestDigest,
    /// The manifest that went out: the same if every blob is.
    pub manifest: ManifestDigest,
    /// The configuration, which is the same always; and with it the `diff_ids`.
    pub config: ConfigDigest,
    /// The layers, lowest first.
    pub layers: Vec<ExportedLayer>,
}

impl ExportReport {
    /// Whether the manifest went out byte for byte.
    #[must_use]
    pub fn is_same_manifest(&self) -> bool {
        self.stored_manifest == self.manifest
    }

    /// The layers that have another blob than the image was imported with, and so another manifest than it.
    pub fn recompressed(&self) -> impl Iterator<Item = &ExportedLayer> {
        self.layers.iter().filter(|layer| layer.origin == BlobOrigin::Recompressed)
    }
}
