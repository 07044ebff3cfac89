//! The documents of an image in the repository: its manifest and its configuration.
//!
//! What lives here: the one way to them. What does not: what is made of them, and documents of other places (import).

use sealstone_import::{
    Limits, ManifestDigest, Result as ImportResult,
    oci::{Platform, Resolved, resolve},
    source::StoredImage,
};
use sealstone_store::Repository;

/// The documents of an image in the repository.
///
/// # Errors
/// [`ImportError::Missing`](sealstone_import::ImportError::Missing) when they are not there, and damage.
pub(crate) fn documents(repository: &Repository, manifest: &ManifestDigest) -> ImportResult<Resolved> {
    documents_for(repository, manifest, &Platform::native())
}

/// The same for a platform: there is one manifest, so this is for warnings alone.
///
/// # Errors
/// As [`documents`].
pub(crate) fn documents_for(
    repository: &Repository,
    manifest: &ManifestDigest,
    platform: &Platform,
) -> ImportResult<Resolved> {
    resolve(&StoredImage::new(repository.clone(), *manifest), platform, &Limits::default())
}
