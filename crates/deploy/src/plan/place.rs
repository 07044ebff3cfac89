//! Where an image came from that was not named by a place: by its id, its digest, or the name by which a deployment keeps it.
//!
//! What lives here: what the records of deployments know of it. What does not: what an import left beside a name (import).
//! Invariant: the name by which a deployment keeps its image is never a place: nothing can be updated from there.

use sealstone_import::{ManifestDigest, catalogue::DEPLOYMENT_TAG};

use super::DeployRequest;
use crate::{DeployError, DeployedImage, Record, Target, target::World};

/// Makes a request for an image that was named by its content one for the place that a deployment of it follows, if there is
/// one: that of what boots by default first.
///
/// # Errors
/// When the records cannot be listed.
pub fn keep_place(target: &Target, request: &mut DeployRequest) -> Result<(), DeployError> {
    let records = World::of_names(target)?.records;
    if let Some(image) = known(&records, &request.manifest) {
        request.reference.clone_from(&image.reference);
        request.resolved.clone_from(&image.resolved);
    }
    Ok(())
}

/// The place and what it led to of a request, never the name by which a deployment keeps the image: where nobody knows a place,
/// the manifest's digest stands for it.
pub(super) fn place_of(records: &[Record], request: &DeployRequest) -> (String, Option<String>) {
    if !is_of_deployment(&request.reference) {
        return (request.reference.clone(), request.resolved.clone());
    }
    known(records, &request.manifest).map_or_else(
        || (request.manifest.to_string(), None),
        |image| (image.reference.clone(), image.resolved.clone()),
    )
}

/// What the first deployment of a manifest says of the place.
fn known<'a>(records: &'a [Record], manifest: &ManifestDigest) -> Option<&'a DeployedImage> {
    let images = records.iter().map(|record| &record.image);
    images.into_iter().find(|image| image.manifest == *manifest && !is_of_deployment(&image.reference))
}

fn is_of_deployment(reference: &str) -> bool {
    reference.strip_prefix("docker://").unwrap_or(reference).starts_with(DEPLOYMENT_TAG)
}
