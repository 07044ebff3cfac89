//! What a deploy, a removal or a reconciliation will do: computed from what there is, without a change.
//!
//! What lives here: the plan and its steps as values that print as JSON, and how they are found. What does not: the
//! doing ([`apply`](crate::apply())). Invariants: a plan names what it was made for (`world`), and is refused for anything
//! else; each step may be run twice; after any step the old system boots (rules D9, D11).

mod deploy;
mod steps;

pub use deploy::{DeployRequest, plan_deploy};
pub use steps::{Plan, Room, Step};

use std::collections::BTreeSet;

use sealstone_boot::{EntryChange, entry_changes};

use crate::{
    DeployError, DeploymentId, Keeping, Record, Target, entries::entries, record::State, target::World,
};

/// The steps that bring boot entries and kernels back to what the records say.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_reconcile(target: &Target) -> Result<Plan, DeployError> {
    let world = World::read(target)?;
    let records = world.records.clone();
    let mut plan = Plan::new(&world, None);
    kernel_steps(target, &world, &records, &mut plan)?;
    entry_steps(target, &world, &records, &mut plan)?;
    keep_first(&records, &mut plan);
    Ok(plan)
}

/// The steps that remove a deployment, with its state; its image goes with the next gc. `booted` is the one that runs.
///
/// # Errors
/// [`DeployError::Needed`] when it is booted or the only one, [`sealstone_store::Error::Missing`] when there is none of
/// this id.
pub fn plan_remove(
    target: &Target,
    id: &DeploymentId,
    booted: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let world = World::read(target)?;
    let Some(record) = world.record(id).cloned() else {
        return Err(sealstone_store::Error::Missing { what: format!("deployment {id}") }.into());
    };
    let needed = |reason| Err(DeployError::Needed { id: id.to_string(), reason });
    if booted == Some(id) {
        return needed("it is running");
    }
    let rest: Vec<Record> = world.records.iter().filter(|other| other.id != *id).cloned().collect();
    if record.state == State::Deployed && !rest.iter().any(|other| other.state == State::Deployed) {
        return needed("it is the only one that boots");
    }
    let mut plan = Plan::new(&world, None);
    kernel_steps(target, &world, &rest, &mut plan)?;
    entry_steps(target, &world, &rest, &mut plan)?;
    remove_steps(&record, &rest, &mut plan);
    keep_first(&rest, &mut plan);
    Ok(plan)
}

/// The steps that make an end of a deployment, after its entries went: record, state, refs.
fn remove_steps(record: &Record, rest: &[Record], plan: &mut Plan) {
    let is_shared = rest.iter().any(|other| other.image.manifest == record.image.manifest);
    plan.steps.extend([
        Step::RemoveRecord { id: record.id },
        Step::RemoveState { id: record.id },
        Step::Release { deployment: Keeping::of(record), is_shared },
    ]);
}

/// The kernels that are not safely on every boot partition: an entry vouches for its kernel, since it was written after
/// the kernel had been read back; a kernel without one may be half of an earlier run.
fn kernel_steps(
    target: &Target,
    world: &World,
    records: &[Record],
    plan: &mut Plan,
) -> Result<(), DeployError> {
    for (number, (esp, boot)) in target.esps.iter().zip(&world.esps).enumerate() {
        let mut seen = BTreeSet::new();
        for record in records.iter().filter(|record| record.state == State::Deployed) {
            let sizes = &record.kernel.sizes;
            let is_safe = boot.boots(&sizes.digest) && esp.has_kernel(sizes)?;
            if !is_safe && seen.insert(sizes.digest) {
                let (image, digest) = (record.image.id, sizes.digest);
                plan.steps.push(Step::WriteKernel { esp: number, image, digest });
            }
        }
    }
    Ok(())
}

/// The entries from those there are to those that the records want, and then the kernels that nobody needs any more.
fn entry_steps(
    target: &Target,
    world: &World,
    records: &[Record],
    plan: &mut Plan,
) -> Result<(), DeployError> {
    let wanted = entries(records)?;
    for (number, (esp, boot)) in target.esps.iter().zip(&world.esps).enumerate() {
        for change in entry_changes(&boot.ours, &wanted)? {
            plan.steps.push(match change {
                EntryChange::Write(name, entry) => {
                    esp.check_entry(&name, &entry)?;
                    Step::WriteEntry { esp: number, name: name.to_string(), text: entry.to_string() }
                }
                EntryChange::Remove(name) => Step::RemoveEntry { esp: number, name: name.to_string() },
            });
        }
        for kernel in &boot.kernels {
            let deployed = |record: &Record| record.state == State::Deployed;
            let used = records.iter().any(|record| deployed(record) && record.kernel.sizes.digest == *kernel);
            if !used && !boot.names_kernel(kernel) {
                plan.steps.push(Step::RemoveKernel { esp: number, digest: *kernel });
            }
        }
    }
    Ok(())
}

/// The refs of all that boots come before anything that names it: the store's proof is what later steps ask for.
fn keep_first(records: &[Record], plan: &mut Plan) {
    if plan.steps.is_empty() {
        return;
    }
    let deployments = records.iter().map(Keeping::of).collect();
    plan.steps.insert(0, Step::Keep { deployments });
}
