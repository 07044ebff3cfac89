//! Fetching bound images into the repository, a few side by side.
//!
//! Invariants: what is there by digest is not fetched; each image is visible when all of it is right and durable, and held
//! against gc until the caller's deployment refers to it; what a tag leads to meanwhile does not matter.

use sealstone_import::{Digest, ImportOptions, ImportReport, ManifestDigest, import};
use sealstone_store::{Control, Repository};

use super::{BoundImage, BoundOpener, BoundReference, HeldBound, image::is_stored, resolve::side_by_side};
use crate::DeployError;

/// Bound images that the repository has.
#[derive(Debug)]
pub struct FetchedBound {
    /// The images, as a deployment's record keeps them.
    pub images: Vec<BoundImage>,
    /// What was fetched, by manifest; what was there is not among them.
    pub reports: Vec<(ManifestDigest, ImportReport)>,
    /// Until the deployment refers to them.
    pub held: HeldBound,
}

/// How a missing image is told from one that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// By its documents and the streams of its layers.
    Streams,
    /// By each of its files too.
    Files,
}

/// Makes sure that the repository has these images.
///
/// # Errors
/// As an import's: [`sealstone_import::ImportError::Digest`] when a source gives another image than was resolved. What
/// was fetched before the fault stays until the next gc.
pub fn fetch_bound(
    repository: &Repository,
    images: Vec<BoundImage>,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<FetchedBound, DeployError> {
    fetch(repository, images, opener, options, Look::Streams, control)
}

/// The same, with a look for every file of what is there: an image that lost any is read again, whole.
///
/// # Errors
/// As [`fetch_bound`].
pub fn heal_bound(
    repository: &Repository,
    images: Vec<BoundImage>,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<FetchedBound, DeployError> {
    fetch(repository, images, opener, options, Look::Files, control)
}

fn fetch(
    repository: &Repository,
    images: Vec<BoundImage>,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    look: Look,
    control: &Control,
) -> Result<FetchedBound, DeployError> {
    // D12: from the first look at what is there, until the refs are durable.
    let held = HeldBound::take(repository)?;
    let mut missing: Vec<(&BoundImage, bool)> = Vec::new();
    for image in &images {
        if missing.iter().any(|(other, _)| other.manifest == image.manifest) {
            continue;
        }
        let is_stored = is_stored(repository, &image.manifest)?;
        let has_holes = is_stored && look == Look::Files && image.lost_objects(repository, control)? > 0;
        if !is_stored || has_holes {
            missing.push((image, has_holes));
        }
    }
    let reports = side_by_side(&missing, control, |(image, has_holes)| {
        let source = opener(&pinned(image)?)?;
        let mut options = options.clone();
        // What is there is not believed then.
        options.verify_existing |= has_holes;
        options.require_digest = Some(*image.manifest.digest());
        let report = import(repository, &*source, None, &options, control)?;
        Ok((image.manifest, report.into_inner()))
    })?;
    Ok(FetchedBound { images, reports, held })
}

/// The reference with the digest that it led to, so that a tag which moves changes nothing.
fn pinned(image: &BoundImage) -> Result<BoundReference, DeployError> {
    let invalid = |reason| DeployError::BoundUnit { unit: image.unit.clone(), reason };
    let reference: BoundReference = image.reference.parse().map_err(invalid)?;
    let resolved: &Digest = &image.resolved;
    if reference.digest().is_some() {
        return Ok(reference);
    }
    format!("{reference}@{resolved}").parse().map_err(invalid)
}
