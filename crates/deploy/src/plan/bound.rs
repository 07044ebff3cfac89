//! Planning a deployment's image store: for a new deployment, and for one whose store lost something.

use sealstone_store::{Control, Optional};

use super::{Plan, Step, planner::Planner};
use crate::{
    BoundImage, DeployError, DeploymentId, Record, Target,
    bound::{
        BoundToCome,
        image_store::{self, Sharing, StorePlan, missing_in, plan_image_store},
    },
};

/// The step that makes a deployment's image store, unless it is there and whole.
pub(super) fn make_image_store(
    planner: &mut Planner<'_>,
    id: &DeploymentId,
    (bound, to_come): (&[BoundImage], &[BoundToCome]),
    is_state_new: bool,
) -> Result<(), DeployError> {
    if bound.is_empty() {
        return Ok(());
    }
    let state = planner.record(id).map_or(*id, Record::state_id);
    let sysroot = &planner.target.sysroot;
    if !is_state_new
        && let Some(store) = sysroot.dir().open_dir(image_store::place(&state)).optional()?
        && missing_in(&store, bound)?.is_empty()
    {
        return Ok(());
    }
    let plan = plan_store(planner, id, bound, to_come)?;
    planner.needed.0 = planner.needed.0.saturating_add(plan.bytes).saturating_add(plan.object_bytes);
    planner.needed.1 += plan.files;
    planner.guessed += plan.guessed_bytes;
    planner.plan.image_store = Some(plan);
    planner.make.push(Step::MakeImageStore { id: *id });
    Ok(())
}

/// What making the image store takes. In a dry run images may not be here yet: of those their manifests tell.
fn plan_store(
    planner: &Planner<'_>,
    id: &DeploymentId,
    bound: &[BoundImage],
    to_come: &[BoundToCome],
) -> Result<StorePlan, DeployError> {
    let (dir, repository) = (planner.target.sysroot.dir(), &planner.target.repository);
    let mut stored: Vec<BoundImage> = Vec::new();
    let mut missing: Vec<BoundToCome> = Vec::new();
    for image in bound {
        if image.is_stored(repository)? {
            stored.push(image.clone());
        } else if !missing.iter().any(|known| known.manifest == image.manifest) {
            let told = to_come.iter().find(|come| come.manifest == image.manifest).cloned();
            missing.push(told.unwrap_or_else(|| BoundToCome::recorded(image)));
        }
    }
    let mut plan = plan_image_store(repository, &stored, dir, &Control::new())?;
    if !missing.is_empty() {
        // The image itself is an object of the repository: what holds for it holds for those to come.
        let shares =
            planner.record(id).is_some_and(|record| repository.can_share_with(dir, record.image.id.object()));
        plan.expect(&missing, if shares { Sharing::Reflink } else { Sharing::Copy });
    }
    Ok(plan)
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
    make_image_store(&mut planner, id, (&bound, &[]), false)?;
    planner.plan.bound = bound;
    planner.finish()
}
