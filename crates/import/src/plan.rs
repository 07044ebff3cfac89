//! What an import would do, found out without storing anything.

use sealstone_store::Repository;

use crate::{
    BlobDigest, DiffId, ImportOptions, ManifestDigest, Result,
    oci::{Descriptor, Resolved, resolve},
    record,
    source::Source,
    zstd_chunked,
};

/// What an import of an image would read. Made by [`plan_import`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportPlan {
    /// The digest of the image's manifest.
    pub manifest: ManifestDigest,
    /// Its layers, lowest first; one that the image has twice is there once.
    pub layers: Vec<PlannedLayer>,
}

/// One layer of an [`ImportPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedLayer {
    /// The layer's tar.
    pub diff_id: DiffId,
    /// The blob that the manifest names.
    pub blob: BlobDigest,
    /// All that the manifest says of it.
    pub descriptor: Descriptor,
    /// Bytes of that blob.
    pub blob_bytes: u64,
    /// Bytes of it that would be fetched.
    pub bytes_to_fetch: u64,
    /// Only a part of it would be fetched.
    pub is_partial: bool,
    /// Its table of contents was not read: a part of it may do.
    pub is_at_most: bool,
    /// Why all of a zstd:chunked blob would be.
    pub whole_because: Option<String>,
    /// Whether the store has the layer and this import may use it, so that its blob would not be read.
    pub is_present: bool,
}

impl ImportPlan {
    /// Bytes of the blobs that would be read.
    #[must_use]
    pub fn bytes_to_read(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes_to_fetch).sum()
    }
}

/// Chooses the image, checks its documents, and looks which layers the store has. Of a zstd:chunked
/// layer it reads the table of contents; of others nothing. Writes nothing.
///
/// # Errors
/// As [`import_layers`](crate::import_layers), for documents.
pub fn plan_import(
    repository: &Repository,
    source: &dyn Source,
    options: &ImportOptions,
) -> Result<ImportPlan> {
    let image = resolve(source, &options.platform, &options.limits)?;
    options.check_digest(&image, source)?;
    let layers = plan_layers(Some(repository), source, &image, options, Tables::Read)?;
    Ok(ImportPlan { manifest: image.manifest_digest, layers })
}

/// What is done with the tables of contents of zstd:chunked layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// They are fetched and read.
    Read,
    /// They are left where they are.
    Leave,
}

/// What an import would fetch of an image's layers. Without a repository, all of them.
pub(crate) fn plan_layers(
    repository: Option<&Repository>,
    source: &dyn Source,
    image: &Resolved,
    options: &ImportOptions,
    tables: Tables,
) -> Result<Vec<PlannedLayer>> {
    let index = match (repository, tables) {
        (Some(repository), Tables::Read) => Some(repository.content_index()?),
        _ => None,
    };
    let mut layers: Vec<PlannedLayer> = Vec::new();
    for (descriptor, diff_id) in image.manifest.layers.iter().zip(&image.config.diff_ids) {
        if layers.iter().any(|layer| layer.diff_id == *diff_id) {
            continue;
        }
        let is_stored = match repository {
            Some(repository) => record::is_present(repository, diff_id, options)?,
            None => false,
        };
        let mut layer = PlannedLayer {
            diff_id: *diff_id,
            blob: BlobDigest::new(*descriptor.digest()),
            descriptor: descriptor.clone(),
            blob_bytes: descriptor.size(),
            bytes_to_fetch: descriptor.size(),
            is_partial: false,
            is_at_most: false,
            whole_because: None,
            is_present: is_stored && !options.verify_existing,
        };
        if layer.is_present {
            layer.bytes_to_fetch = 0;
        } else if tables == Tables::Leave {
            layer.is_at_most = zstd_chunked::is_chunked(descriptor);
        } else if let Some(index) = index.as_ref().filter(|_| zstd_chunked::is_chunked(descriptor)) {
            let estimate = zstd_chunked::estimate(source, descriptor, index, options)?;
            layer.bytes_to_fetch = estimate.bytes;
            layer.is_partial = estimate.whole_because.is_none();
            layer.whole_because = estimate.whole_because;
        }
        layers.push(layer);
    }
    Ok(layers)
}
