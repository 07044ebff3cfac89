//! Planning to bring boot partitions and folders back to what the records say.

use super::{Plan, Step, planner::Planner};
use crate::{DeployError, DeploymentId, EtcPolicy, State, Target};

/// The steps that bring boot entries, kernels and state folders back to what the records say, and end what was begun.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_reconcile(target: &Target, running: Option<&DeploymentId>) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    for record in &planner.after {
        let is_lost = !planner.world.states.contains(&record.id.to_string()) && record.broken.is_none();
        if record.state != State::Making && is_lost {
            let step = Step::MakeState { id: record.id, from: None, policy: EtcPolicy::default() };
            planner.make.push(step);
            planner.plan.warnings.push(format!("{} had no state folder: its /etc is made anew", record.id));
        }
    }
    planner.finish()
}
