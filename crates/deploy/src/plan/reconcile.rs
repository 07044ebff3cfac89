//! Planning to bring boot partitions and folders back to what the records say.

use sealstone_import::ManifestDigest;

use super::{Plan, Step, loader::WantedLoader, planner::Planner};
use crate::{DeployError, DeploymentId, EtcPolicy, State, Target, entries::menu, keep::kept_manifests};

/// The steps that bring boot entries, kernels, state folders and refs back to what the records say, and end what was begun.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_reconcile(target: &Target, running: Option<&DeploymentId>) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    for record in &planner.after {
        let is_lost =
            !planner.world.states.contains(&record.state_id().to_string()) && record.broken.is_none();
        if record.state != State::Making && is_lost {
            let step = Step::MakeState { id: record.id, from: None, policy: EtcPolicy::default() };
            planner.make.push(step);
            planner.plan.warnings.push(format!("{} had no state folder: its /etc is made anew", record.id));
        }
    }
    mend_loader(target, &mut planner)?;
    let unneeded = unneeded_manifests(target, &planner)?;
    let mut plan = planner.finish()?;
    plan.steps.extend(unneeded.into_iter().map(|manifest| Step::ReleaseManifest { manifest }));
    Ok(plan)
}

/// The manifests that a ref keeps though no deployment needs them: what an update to the same content left that was killed
/// before its last step. Where there is anything that we know nothing of, bootc may need them.
fn unneeded_manifests(target: &Target, planner: &Planner<'_>) -> Result<Vec<ManifestDigest>, DeployError> {
    let world = &planner.world;
    let is_known =
        |state: &String| world.records.iter().any(|record| record.state_id().to_string() == *state);
    if !world.broken.is_empty() || !world.unadopted.is_empty() || !world.states.iter().all(is_known) {
        return Ok(Vec::new());
    }
    let mut kept = kept_manifests(&target.repository)?;
    kept.retain(|manifest| !world.records.iter().any(|record| record.image.manifest == *manifest));
    Ok(kept)
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
