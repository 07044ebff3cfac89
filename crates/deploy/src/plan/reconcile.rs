//! Planning to bring boot partitions and folders back to what the records say.

use std::collections::BTreeSet;

use sealstone_boot::FoundEntry;
use sealstone_import::ManifestDigest;
use sealstone_store::Control;

use super::{Plan, Step, loader::WantedLoader, planner::Planner};
use crate::{
    DeployError, DeploymentId, EtcPolicy, Record, State, Target, entries::menu, keep::kept_manifests,
    status::find_lost,
};

/// The steps that bring boot entries, kernels, state folders and refs back to what the records say, and end what was begun.
/// Records that are lost are made again of what is left; of files that are lost it tells.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_reconcile(target: &Target, running: Option<&DeploymentId>) -> Result<Plan, DeployError> {
    let mut planner = Planner::rebuilding(target, running)?;
    warn_of_losses(target, &mut planner);
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
    let empty = empty_entries(target, &planner);
    let mut plan = planner.finish()?;
    // One whose name was wanted is overwritten by now.
    let empty: Vec<Step> = empty.into_iter().filter(|step| !writes_the_same(&plan.steps, step)).collect();
    plan.steps.extend(empty);
    plan.steps.extend(unneeded.into_iter().map(|manifest| Step::ReleaseManifest { manifest }));
    Ok(plan)
}

/// The manifests that a ref keeps though no deployment needs them: what an update to the same content left that was killed
/// before its last step. Where there is anything that we know nothing of, bootc may need them.
pub(super) fn unneeded_manifests(
    target: &Target,
    planner: &Planner<'_>,
) -> Result<Vec<ManifestDigest>, DeployError> {
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

/// The files with names of our scheme for a system that is deployed here, and nothing in them: what a power cut made of a new
/// entry. No boot loader shows them, and nobody else would write such a name.
fn empty_entries(target: &Target, planner: &Planner<'_>) -> Vec<Step> {
    let systems: BTreeSet<&str> = planner.world.records.iter().map(|record| record.os.id.as_str()).collect();
    let mut steps = Vec::new();
    for (number, boot) in planner.world.esps.iter().enumerate() {
        if target.entry_partition(&planner.world, number).is_none() {
            continue;
        }
        for found in &boot.foreign {
            let FoundEntry::Entry(name, entry) = found else { continue };
            let is_empty = entry.to_string().trim().is_empty();
            if is_empty && systems.iter().any(|system| name.is_of_system(system)) {
                steps.push(Step::RemoveEntry { esp: number, name: name.to_string() });
            }
        }
    }
    steps
}

/// Whether a step writes the entry that another one removes.
fn writes_the_same(steps: &[Step], removal: &Step) -> bool {
    let Step::RemoveEntry { esp: at, name: gone } = removal else { return false };
    steps.iter().any(|step| matches!(step, Step::WriteEntry { esp, name, .. } if esp == at && name == gone))
}

/// Tells of files that the repository lost. Nothing but their source brings them back, so nothing is done about them.
fn warn_of_losses(target: &Target, planner: &mut Planner<'_>) {
    let images: Vec<Record> =
        planner.after.iter().filter(|record| record.state != State::Making).cloned().collect();
    match find_lost(&target.repository, &images, &planner.plan.trees, &Control::new()) {
        Ok(lost) => {
            for (id, reason) in lost {
                planner.plan.warnings.push(format!("the deployment {id} is not whole: {reason}"));
            }
        }
        Err(error) => planner.plan.warnings.push(format!("whether all files are there is unknown: {error}")),
    }
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
