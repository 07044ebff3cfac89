//! Planning after a boot that went well: what runs is good, and what did not come so far is broken.
//!
//! What lives here: which records change. What does not: when a boot went well (systemd's `boot-complete.target`).
//! Why no rename takes the counter off, as `systemd-bless-boot` does: measured on Linux' vfat, in a third of the states that
//! a power cut can leave a renamed entry is empty, and it may be the only one that boots. The entry without a counter is a
//! new file, synced and read back, before the counted one goes: the same steps by which any entry changes (rule D9), on
//! every boot partition, and whatever cuts them off a rerun ends them. To the boot loader both are one entry.

use super::{Plan, planner::Planner};
use crate::{DeployError, DeploymentId, State, Target, target::World};

/// How the reason begins for which such a deployment is broken.
const GAVE_UP: &str = "the boot loader gave it up";

/// Whether a deployment is broken for this reason, which nothing but a new try takes back.
pub(crate) fn is_given_up(reason: &str) -> bool {
    reason.starts_with(GAVE_UP)
}

/// The steps that make the deployment that runs a good one: its entries are not counted any more. What should have booted
/// before it and was given up by the boot loader is marked as broken: it leaves the menu, and no update takes it again.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is no such deployment, and when the target cannot be read.
pub fn plan_bless(target: &Target, running: &DeploymentId) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, Some(running))?;
    let record = planner.change(running)?;
    record.tries = None;
    let ran = (record.order, record.serial);
    for (id, reason) in spent(&planner.world) {
        let was_before = planner.record(&id).is_some_and(|record| (record.order, record.serial) > ran);
        if was_before && id != *running {
            planner.change(&id)?.broken = Some(reason);
        }
    }
    planner.finish()
}

/// The deployments that the boot loader does not try any more, and why.
pub(crate) fn spent(world: &World) -> Vec<(DeploymentId, String)> {
    let mut spent = Vec::new();
    for record in
        world.records.iter().filter(|record| record.state == State::Deployed && record.broken.is_none())
    {
        // One of several boot partitions has counted: that from which the firmware started.
        let counted = world.esps.iter().filter_map(|boot| boot.counter(&record.id));
        if let Some(tries) = counted.min_by_key(|tries| tries.left).filter(|tries| tries.left == 0) {
            spent.push((record.id, format!("{GAVE_UP} after {} tries", tries.done)));
        }
    }
    spent
}
