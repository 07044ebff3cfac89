//! Planning to bring boot partitions and folders back to what the records say.

use super::{Plan, Step, loader::WantedLoader, planner::Planner};
use crate::{DeployError, DeploymentId, EtcPolicy, State, Target, entries::menu};

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
    mend_loader(target, &mut planner)?;
    planner.finish()
}

/// The boot loader is that of what boots by default, on each boot partition, where it is not newer.
fn mend_loader(target: &Target, planner: &mut Planner<'_>) -> Result<(), DeployError> {
    let Some(first) = menu(&planner.after).first().copied().cloned() else { return Ok(()) };
    if target.esps.is_empty() {
        return Ok(());
    }
    let tree = planner.plan.trees.tree(&target.repository, &first.image.id)?;
    let image = (first.image.id, &*tree, &first.image.manifest);
    let wanted = WantedLoader::of(target, image, (None, first.boot_loader), &mut planner.plan.warnings)?;
    wanted.map_or(Ok(()), |wanted| planner.want_loader(&wanted))
}
