//! Planning a deployment's image store: for a new deployment, and for one whose store lost something.

use std::collections::BTreeSet;

use sealstone_store::{Control, Optional, Repository};

use super::{Plan, Step, planner::Planner};
use crate::{
    BoundImage, DeployError, DeploymentId, Record, Target,
    bound::image_store::{self, missing_in, plan_image_store},
};

/// The step that makes a deployment's image store, unless it is there and whole.
pub(super) fn make_image_store(
    planner: &mut Planner<'_>,
    id: &DeploymentId,
    bound: &[BoundImage],
    is_state_new: bool,
) -> Result<(), DeployError> {
    if bound.is_empty() {
        return Ok(());
    }
    let state = planner.record(id).map_or(*id, Record::state_id);
    let (sysroot, repository) = (&planner.target.sysroot, &planner.target.repository);
    if !is_state_new
        && let Some(store) = sysroot.dir().open_dir(image_store::place(&state)).optional()?
        && missing_in(&store, bound)?.is_empty()
    {
        return Ok(());
    }
    // In a dry run they may not be there yet: then it is unknown what their store takes.
    let mut are_stored = true;
    for image in bound {
        are_stored &= image.is_stored(repository)?;
    }
    if are_stored {
        let plan = plan_image_store(repository, bound, sysroot.dir(), &Control::new())?;
        planner.needed.0 += plan.bytes;
        planner.needed.1 += plan.files;
        planner.plan.image_store = Some(plan);
    } else {
        let bytes = bytes_to_come(repository, bound)?;
        // Once as objects, and once more in the store, where the file system shares no blocks.
        planner.needed.0 += bytes.saturating_mul(2);
        let warning = format!(
            "what the image store takes is known once the bound images are fetched: their {bytes} bytes to fetch, which may \
             be compressed, are counted twice until then"
        );
        planner.plan.warnings.push(warning);
    }
    planner.make.push(Step::MakeImageStore { id: *id });
    Ok(())
}

/// The bytes of the blobs of images that the repository does not have, each once, as far as their manifests told.
fn bytes_to_come(repository: &Repository, bound: &[BoundImage]) -> Result<u64, DeployError> {
    let mut counted = BTreeSet::new();
    let mut bytes = 0_u64;
    for image in bound {
        if counted.insert(image.manifest.to_string()) && !image.is_stored(repository)? {
            bytes = bytes.saturating_add(image.bytes.unwrap_or_default());
        }
    }
    Ok(bytes)
}

/// The steps that make a deployment's image store whole again; the images have to be in the repository.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is no such deployment.
pub fn plan_sync_bound(
    target: &Target,
    id: &DeploymentId,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let bound = planner.change(id)?.bound.clone();
    make_image_store(&mut planner, id, &bound, false)?;
    planner.plan.bound = bound;
    planner.finish()
}
