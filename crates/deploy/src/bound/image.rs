//! [`BoundImage`]: what a deployment's record keeps of an image that is bound to it.

use sealstone_import::{
    ConfigDigest, Digest, ManifestDigest, Result as ImportResult, oci::Resolved, streams::layer_stream,
};
use sealstone_store::{Control, ObjectId, Repository, StreamName, splitstream::SplitStreamReader};
use serde::{Deserialize, Serialize};

use crate::{documents::documents, record::text};

/// A bound image, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundImage {
    /// The unit that names it: the link's name.
    pub unit: String,
    /// What the unit says.
    pub reference: String,
    /// What the reference led to when it was resolved: the digest of a manifest or of an index.
    #[serde(with = "text")]
    pub resolved: Digest,
    /// The manifest, for the machine's platform.
    #[serde(with = "text")]
    pub manifest: ManifestDigest,
    /// Its configuration, which is also podman's id of the image.
    #[serde(with = "text")]
    pub config: ConfigDigest,
    /// Bytes of its layers' blobs, as the manifest has them: what a machine without any of them fetches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl BoundImage {
    /// Its documents, out of the repository.
    ///
    /// # Errors
    /// [`ImportError::Missing`](sealstone_import::ImportError::Missing) when it is not there, and damage.
    pub(crate) fn documents(&self, repository: &Repository) -> ImportResult<Resolved> {
        documents(repository, &self.manifest)
    }

    /// Whether the repository has all of it.
    ///
    /// # Errors
    /// When the disk fails; what is damaged is not there.
    pub fn is_stored(&self, repository: &Repository) -> ImportResult<bool> {
        is_stored(repository, &self.manifest)
    }

    /// Of what the repository has of it, how many files lost their content: looks for the name of each object.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn lost_objects(&self, repository: &Repository, control: &Control) -> ImportResult<usize> {
        let objects = layer_objects(repository, &self.manifest).unwrap_or_default();
        Ok(repository.lost_objects(objects, control)?.len())
    }
}

/// The objects of all layers of an image in the repository: the content of files that are not in the layers' streams.
///
/// # Errors
/// When a document or a stream is not there, or damaged.
pub(crate) fn layer_objects(
    repository: &Repository,
    manifest: &ManifestDigest,
) -> ImportResult<Vec<ObjectId>> {
    let mut objects = Vec::new();
    for diff_id in &documents(repository, manifest)?.config.diff_ids {
        objects.extend(stream_objects(repository, &layer_stream(diff_id)?)?);
    }
    Ok(objects)
}

/// The objects that a stream names beside what it holds itself.
///
/// # Errors
/// When it is not there, or damaged.
pub(crate) fn stream_objects(repository: &Repository, stream: &StreamName) -> ImportResult<Vec<ObjectId>> {
    let bytes = repository.map_stream(stream)?;
    Ok(SplitStreamReader::new(&bytes, repository.algorithm())?.object_refs().collect())
}

/// Whether manifest, configuration and the streams of all layers are there.
pub(super) fn is_stored(repository: &Repository, manifest: &ManifestDigest) -> ImportResult<bool> {
    let Ok(image) = documents(repository, manifest) else { return Ok(false) };
    for diff_id in &image.config.diff_ids {
        let Ok(stream) = repository.stream(&layer_stream(diff_id)?) else { return Ok(false) };
        if !repository.has_object(&stream)? {
            return Ok(false);
        }
    }
    Ok(true)
}
