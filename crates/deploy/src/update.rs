//! Updates: from what a deployment follows to the deployment that boots next.
//!
//! What lives here: which reference is followed, whether it leads to something new ([`check_update`]), and the plan once the
//! image is imported ([`plan_update`]). What does not: opening a source, the steps (`plan/`). Invariants: a check writes
//! nothing, whatever it finds; of an image it reads the documents, and of zstd:chunked layers the small parts that tell which
//! images it binds, where nothing else does; when nothing is new, that costs what
//! [`Source::named_digest`](sealstone_import::source::Source::named_digest) costs: one `HEAD` of a registry.

mod bound;
mod check;
mod standing;
#[cfg(test)]
mod tests;

pub use bound::check_bound;
pub use check::{CheckedBound, CheckedImage, CheckedLayer, UpdateCheck, Verdict, check_update};
pub use standing::Standing;

use sealstone_import::{
    source::Reference,
    streams::{bootable_image, linked_images},
};

use crate::{
    BoundImage, DeployError, DeployRequest, DeployedImage, DeploymentId, Fetch, Finalise, ImageId,
    ImportedImage, NotBootable, Plan, Record, Target, image::NO_KERNEL, plan::boots_by_the_same, plan_deploy,
    plan_reconcile, plan_relabel,
};

/// The place from which a deployment gets its updates: the reference that it was made of.
///
/// # Errors
/// [`DeployError::Invalid`] when it is a name only, given at import: it says of no place where the image came from.
pub fn place_of_updates(record: &Record) -> Result<Reference, DeployError> {
    record.image.reference.parse().map_err(|_| DeployError::Invalid {
        what: "place to update from",
        text: record.image.reference.clone(),
        reason: "nobody knows where the image of this name came from; `store switch` says where updates do"
            .into(),
    })
}

/// The request to deploy what was imported from `reference`, in the place of what is there.
///
/// # Errors
/// [`DeployError::Unfit`] when the image cannot boot.
pub fn update_request(
    reference: &str,
    imported: &ImportedImage,
    running: Option<DeploymentId>,
    finalise: Finalise,
    time: i64,
) -> Result<DeployRequest, DeployError> {
    let unfit = |why: &NotBootable| match why {
        NotBootable::Unfit(reason) => reason.clone(),
        NotBootable::NoKernel => NO_KERNEL.to_owned(),
    };
    let image = imported.images.bootable.as_ref();
    let image = image.map_err(|why| DeployError::Unfit { profile: "bootable", reason: unfit(why) })?;
    let mut request =
        DeployRequest::new(reference.to_owned(), imported.manifest, imported.config, *image, time);
    request.resolved = Some(imported.named.to_string());
    request.running = running;
    request.finalise = finalise;
    request.trees = imported.trees.clone();
    let fetched = imported.report.layers.iter().filter(|layer| layer.fetched_bytes > 0);
    request.fetch = Fetch { bytes: imported.report.fetched_bytes(), layers: fetched.count() };
    Ok(request)
}

/// The request for an update that a check found, if the repository has all of its content: then it can be planned without an
/// import. `None` where it does not.
///
/// # Errors
/// When the repository cannot be read.
pub fn known_update_request(
    target: &Target,
    check: &UpdateCheck,
    running: Option<DeploymentId>,
    finalise: Finalise,
    time: i64,
) -> Result<Option<DeployRequest>, DeployError> {
    let Some(available) = &check.available else { return Ok(None) };
    let linked = linked_images(&target.repository, &available.config)?;
    let Some(image) = bootable_image(&linked) else { return Ok(None) };
    let (manifest, config) = (available.manifest, available.config);
    let reference = check.reference.clone();
    let mut request = DeployRequest::new(reference, manifest, config, ImageId::new(image), time);
    request.resolved.clone_from(&available.resolved);
    request.running = running;
    request.finalise = finalise;
    Ok(Some(request))
}

/// Plans an update or a switch. What has the content of the deployment that boots next already, under another manifest or
/// reference, is no other deployment: the record says so from then on, and nothing has to boot.
///
/// # Errors
/// As [`plan_deploy`].
pub fn plan_update(target: &Target, request: &DeployRequest) -> Result<Plan, DeployError> {
    let running = request.running.as_ref();
    let standing = Standing::read(target, running)?;
    let Some(next) = standing.next().filter(|next| is_same_content(next, request)) else {
        return plan_deploy(target, request);
    };
    // The same files may have come with another unified kernel image, one that was signed anew.
    if !boots_by_the_same(&target.repository, request, &next.kernel)? {
        return plan_deploy(target, request);
    }
    let image = DeployedImage {
        reference: request.reference.clone(),
        resolved: request.resolved.clone(),
        manifest: request.manifest,
        config: request.config,
        ..next.image.clone()
    };
    let mut plan = plan_relabel(target, &next.id, &image, running)?;
    plan.fetch = request.fetch;
    Ok(plan)
}

/// Plans what is to do where nothing is new: to end what an earlier run was cut off in, between its record and its boot
/// entries; else to remember what the reference names now, if a check had to read the documents to find that out: the next
/// check need not.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_unchanged(
    target: &Target,
    standing: &Standing,
    check: &UpdateCheck,
    running: Option<&DeploymentId>,
) -> Result<Option<Plan>, DeployError> {
    if standing.is_out_of_step() {
        return plan_reconcile(target, running).map(Some);
    }
    let (Some(id), Some(available)) = (&check.deployment, &check.available) else { return Ok(None) };
    let Some(record) = standing.record(id).filter(|record| record.image.resolved != available.resolved)
    else {
        return Ok(None);
    };
    let image = DeployedImage { resolved: available.resolved.clone(), ..record.image.clone() };
    plan_relabel(target, id, &image, running).map(Some)
}

/// Whether a request would make what is there already, but for the names of its documents.
fn is_same_content(record: &Record, request: &DeployRequest) -> bool {
    let asks_for_more = !request.kargs.is_empty()
        || !request.karg_deletes.is_empty()
        || !request.overlays.is_empty()
        || !request.addons.is_empty();
    let bound = |bound: &[BoundImage]| -> Vec<_> {
        bound.iter().map(|one| (one.unit.clone(), one.manifest)).collect()
    };
    record.image.id == request.image
        && record.broken.is_none()
        && !asks_for_more
        && bound(&record.bound) == bound(&request.bound)
}
