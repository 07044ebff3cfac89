//! Planning the end of one deployment, be it only what is left of one that lost its record.

use sealstone_boot::BlsEntry;

use super::{Plan, Pruned, Step, planner::Planner, reconcile::unneeded_manifests};
use crate::{DeployError, DeploymentId, Target, entries::menu};

/// Why it goes.
const ASKED: &str = "you asked for it";

/// The steps that remove a deployment, with its state; its image goes with the next gc. `running` is the one that runs.
///
/// # Errors
/// [`DeployError::Needed`] when it runs, is pinned or may be the only one that boots, [`sealstone_store::Error::Missing`] when
/// there is none of this id.
pub fn plan_remove(
    target: &Target,
    id: &DeploymentId,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::rebuilding(target, running)?;
    let needed = |reason| Err(DeployError::Needed { id: id.to_string(), reason });
    if running == Some(id) {
        return needed("it is running");
    }
    if planner.world.record(id).is_none() {
        return remove_remains(target, planner, id);
    }
    if planner.record(id).is_some_and(|record| record.pinned) {
        return needed("it is pinned");
    }
    if menu(&planner.after).iter().all(|record| record.id == *id) && menu(&planner.after).len() == 1 {
        return needed("it is the only one that boots");
    }
    planner.remove(id, ASKED);
    planner.finish()
}

/// Takes away what is left of a deployment of which no record can be made: entries first (rule D9), then refs, state, and the
/// file among the records, which a rerun would find, last.
fn remove_remains(target: &Target, mut planner: Planner<'_>, id: &DeploymentId) -> Result<Plan, DeployError> {
    if !planner.world.remains().contains(id) {
        return Err(sealstone_store::Error::Missing { what: format!("deployment {id}") }.into());
    }
    let text = id.to_string();
    if planner.world.broken.iter().any(|broken| broken.is_of(id) && broken.is_newer) {
        return Err(DeployError::Needed {
            id: text,
            reason: "a newer version of this program wrote its record",
        });
    }
    let is_of_it = |entry: &BlsEntry| entry.sealstone_id() == Some(&text);
    let boots = planner.world.esps.iter().flat_map(|boot| boot.ours.values());
    if menu(&planner.after).is_empty()
        && boots.into_iter().any(|entry| is_of_it(entry) && entry.is_bootable())
    {
        return Err(DeployError::Needed { id: text, reason: "it may be the only one that boots" });
    }
    let mut steps = Vec::new();
    for (number, boot) in planner.world.esps.iter_mut().enumerate() {
        boot.ours.retain(|name, entry| {
            let goes = is_of_it(entry);
            if goes {
                steps.push(Step::RemoveEntry { esp: number, name: name.to_string() });
            }
            !goes
        });
    }
    steps.push(Step::Forget { id: *id });
    if planner.world.states.remove(&text) {
        steps.push(Step::RemoveState { id: *id });
    }
    if planner.world.broken.iter().any(|broken| broken.is_of(id)) {
        planner.world.broken.retain(|broken| !broken.is_of(id));
        steps.push(Step::RemoveRecord { id: *id });
    }
    planner.make.extend(steps);
    planner.plan.deployments.pruned.push(Pruned { id: *id, reason: ASKED.to_owned() });
    let unneeded = unneeded_manifests(target, &planner)?;
    let mut plan = planner.finish()?;
    plan.steps.extend(unneeded.into_iter().map(|manifest| Step::ReleaseManifest { manifest }));
    Ok(plan)
}
