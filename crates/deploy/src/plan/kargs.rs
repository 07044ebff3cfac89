//! Planning a change of the kernel arguments of what boots next.
//!
//! What lives here: which deployment is changed, and in what order. What does not: the edit itself ([`KargsEdit`]). The
//! record is rewritten in place, and the boot entry with it; another deployment would be one of the same image, which only
//! our initramfs program boots. What is downloaded and waits is changed as well: it boots once it is asked for.

use super::{Plan, planner::Planner};
use crate::{
    DeployError, DeploymentId, Record, State, Target,
    kargs::{Derived, KargsEdit, KargsOwner, deletes_of},
    status::next_boot,
};

/// The steps that change the kernel arguments of the deployment that boots next: the staged one if there is any, else the
/// first of the menu.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when nothing is deployed, [`DeployError::Unfit`] for a unified kernel image, whose
/// arguments are sealed in it, and [`DeployError::Invalid`] for an argument that the deployment sets itself.
pub fn plan_kargs(
    target: &Target,
    owner: &KargsOwner,
    edit: &KargsEdit,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let locked = |record: &&Record| record.state == State::Staged && record.locked;
    let waiting: Vec<DeploymentId> = planner.after.iter().filter(locked).map(|record| record.id).collect();
    let next = next(&planner.after)?;
    let misses = planner.record(&next).map(|record| edit.misses(owner, &derived(record))).unwrap_or_default();
    planner.plan.warnings.extend(misses);
    for id in std::iter::once(next).chain(waiting) {
        change(planner.change(&id)?, owner, edit)?;
    }
    planner.finish()
}

fn change(record: &mut Record, owner: &KargsOwner, edit: &KargsEdit) -> Result<(), DeployError> {
    if record.kernel.is_uki() {
        let reason = "it boots by a unified kernel image, in which the kernel arguments are sealed".into();
        return Err(DeployError::Unfit { profile: "bootable with other kernel arguments", reason });
    }
    let before = derived(record);
    let after = edit.edit(owner, &before)?;
    record.kargs = after.kargs;
    if after.deletes != before.deletes {
        record.karg_deletes = after.deletes.iter().map(ToString::to_string).collect();
    }
    Ok(())
}

fn derived(record: &Record) -> Derived {
    Derived { kargs: record.kargs.clone(), deletes: deletes_of(&record.karg_deletes) }
}

/// The deployment that boots next.
fn next(records: &[Record]) -> Result<DeploymentId, DeployError> {
    let missing = || sealstone_store::Error::Missing { what: "deployment to boot".into() };
    Ok(next_boot(records, &crate::entries::menu(records), None).ok_or_else(missing)?.deployment)
}
