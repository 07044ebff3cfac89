//! Planning a rollback: what is second in the menu comes first.

use super::{Plan, planner::Planner};
use crate::{DeployError, DeploymentId, State, Target, entries::menu};

/// The steps that let the second deployment of the menu boot next. What is staged goes. Doing it twice leads back.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is no other deployment that boots.
pub fn plan_rollback(target: &Target, running: Option<&DeploymentId>) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let Some(other) = menu(&planner.after).get(1).map(|record| record.id) else {
        return Err(sealstone_store::Error::Missing { what: "deployment to roll back to".into() }.into());
    };
    let staged = planner.after.iter().filter(|record| record.state == State::Staged).map(|record| record.id);
    for id in staged.collect::<Vec<_>>() {
        planner.remove(&id, "a rollback discards what is staged");
    }
    let (_, order) = planner.highest();
    planner.change(&other)?.order = order + 1;
    planner.finish()
}
