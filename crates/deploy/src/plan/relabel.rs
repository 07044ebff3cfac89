//! Planning for a deployment whose content stays: its image was found under another manifest or reference.
//!
//! What lives here: the steps that make its record say so. What does not: anything that boots: entries, kernels and the
//! folders of state stay as they are.

use super::{Plan, Step, planner::Planner};
use crate::{DeployError, DeploymentId, Target, record::DeployedImage};

/// The steps that let the record of a deployment say `image`, which has the same content.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is none of this id, [`DeployError::Changed`] when the content is another.
pub fn plan_relabel(
    target: &Target,
    id: &DeploymentId,
    image: &DeployedImage,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let record = planner.change(id)?;
    if record.image.id != image.id {
        return Err(DeployError::Changed);
    }
    let before = std::mem::replace(&mut record.image, image.clone());
    // Of records that cannot be read nobody knows what they need.
    let is_needed = !planner.world.broken.is_empty()
        || planner.after.iter().any(|record| record.image.manifest == before.manifest);
    let mut plan = planner.finish()?;
    if !is_needed {
        plan.steps.push(Step::ReleaseManifest { manifest: before.manifest });
    }
    Ok(plan)
}
