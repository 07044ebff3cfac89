//! Planning the end of older deployments.

use super::{Plan, planner::Planner};
use crate::{DeployError, DeploymentId, Retention, Target};

/// The steps that end what may not stay by the policy. `now` is in seconds since 1970 UTC.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_prune(
    target: &Target,
    retention: &Retention,
    running: Option<&DeploymentId>,
    now: i64,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    planner.prune(retention, now)?;
    planner.finish()
}
