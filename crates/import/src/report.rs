//! What an import did: per layer, and altogether.

use std::time::Duration;

use crate::{BlobDigest, DiffId, decompress::Compression, oci::Descriptor, tar::Warnings};

/// How a layer came to be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerOrigin {
    /// Read from the source.
    Imported,
    /// The store had it, with its record.
    Present,
    /// The store had it; its record was lost and was made anew from the store's own copy.
    Rebuilt,
}

/// What happened to one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerReport {
    /// The layer's tar.
    pub diff_id: DiffId,
    /// The blob that the manifest names.
    pub blob: BlobDigest,
    /// Bytes of that blob.
    pub blob_bytes: u64,
    /// Bytes of the tar; 0 when nothing was read.
    pub tar_bytes: u64,
    /// Entries of the tar; 0 when nothing was read.
    pub entries: u64,
    /// Bytes of that blob that came from the source; more than it has when an attempt to have it in part failed.
    pub fetched_bytes: u64,
    /// Bytes of the files that were taken from the store instead, when only a part of the blob was fetched.
    pub reused_bytes: u64,
    /// Only a part of the blob was fetched. Its digest was not computed then: the tar's was.
    pub is_partial: bool,
    /// Why all of a zstd:chunked blob was fetched.
    pub whole_because: Option<String>,
    /// How the blob was compressed; `None` when nothing was read of it.
    pub compression: Option<Compression>,
    /// How the layer came to be in the store.
    pub origin: LayerOrigin,
    /// Objects written for it.
    pub new_objects: u64,
    /// Bytes in those.
    pub new_bytes: u64,
    /// Objects that it shares with the store as it was, or with another layer or file of this import.
    pub shared_objects: u64,
    /// Bytes in those.
    pub shared_bytes: u64,
    /// From the layer's first byte to its last.
    pub time: Duration,
    /// Oddities that stopped nothing, and what was normalised; nothing when nothing was read.
    pub findings: Warnings,
}

impl LayerReport {
    /// Of a layer that the store has.
    pub(crate) fn nothing_read(diff_id: DiffId, descriptor: &Descriptor) -> Self {
        Self {
            diff_id,
            blob: BlobDigest::new(*descriptor.digest()),
            blob_bytes: descriptor.size(),
            tar_bytes: 0,
            entries: 0,
            fetched_bytes: 0,
            reused_bytes: 0,
            is_partial: false,
            whole_because: None,
            compression: None,
            origin: LayerOrigin::Present,
            new_objects: 0,
            new_bytes: 0,
            shared_objects: 0,
            shared_bytes: 0,
            time: Duration::ZERO,
            findings: Warnings::default(),
        }
    }
}

/// The processor time of an import's stages, each summed over its threads. The stages run side by side: together they take
/// up to as many times the import's own time as there are processors. Waiting for the disk is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessorTime {
    /// Reading the blobs, and hashing them.
    pub read: Duration,
    /// Decompressing.
    pub decompress: Duration,
    /// Hashing and reading the tars, and hashing the files in them.
    pub digest: Duration,
    /// Looking objects up, and writing the new ones.
    pub write: Duration,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// The source has no manifest, so one was made: its digest is known nowhere else.
    pub is_manifest_made: bool,
    /// The layers, lowest first; one that the image has twice is there once.
    pub layers: Vec<LayerReport>,
    /// From the choice of the image to the last layer, without the commit.
    pub time: Duration,
    /// Where the processors' time went meanwhile.
    pub processor_time: ProcessorTime,
    /// Oddities of the image's documents.
    pub warnings: Vec<String>,
}

impl ImportReport {
    /// Objects written for all layers.
    #[must_use]
    pub fn new_objects(&self) -> u64 {
        self.layers.iter().map(|layer| layer.new_objects).sum()
    }

    /// Bytes in those.
    #[must_use]
    pub fn new_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.new_bytes).sum()
    }

    /// Objects that were shared.
    #[must_use]
    pub fn shared_objects(&self) -> u64 {
        self.layers.iter().map(|layer| layer.shared_objects).sum()
    }

    /// Bytes of all blobs that came from the source.
    #[must_use]
    pub fn fetched_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.fetched_bytes).sum()
    }

    /// Bytes in those.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.shared_bytes).sum()
    }
}
