//! Planning to pin a deployment, so that no retention takes it, or to let go of it.

use super::{Plan, planner::Planner};
use crate::{DeployError, DeploymentId, Target};

/// The steps that pin a deployment, or unpin it.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is none of this id.
pub fn plan_pin(
    target: &Target,
    id: &DeploymentId,
    pinned: bool,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    planner.change(id)?.pinned = pinned;
    planner.finish()
}
