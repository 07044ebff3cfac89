//! Planning the end of one deployment.

use super::{Plan, planner::Planner};
use crate::{DeployError, DeploymentId, Target, entries::menu};

/// The steps that remove a deployment, with its state; its image goes with the next gc. `running` is the one that runs.
///
/// # Errors
/// [`DeployError::Needed`] when it runs, is pinned or is the only one that boots, [`sealstone_store::Error::Missing`] when
/// there is none of this id.
pub fn plan_remove(
    target: &Target,
    id: &DeploymentId,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    if planner.world.record(id).is_none() {
        return Err(sealstone_store::Error::Missing { what: format!("deployment {id}") }.into());
    }
    let needed = |reason| Err(DeployError::Needed { id: id.to_string(), reason });
    if running == Some(id) {
        return needed("it is running");
    }
    if planner.record(id).is_some_and(|record| record.pinned) {
        return needed("it is pinned");
    }
    if menu(&planner.after).iter().all(|record| record.id == *id) && menu(&planner.after).len() == 1 {
        return needed("it is the only one that boots");
    }
    planner.remove(id, "you asked for it");
    planner.finish()
}
