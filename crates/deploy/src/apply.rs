//! Doing what a plan says, step by step.
//!
//! What lives here: the steps. What does not: any decision. Invariants: the target is locked and is what the plan was
//! made for; each step is durable before the next, but for kernels, which are written beside a state, and seen by a boot
//! loader before one that relies on that; nothing that names a deployment is written without the store's proof that it is kept
//! (`Durable<Kept>`), which only the first step makes. Killed anywhere, a new plan goes on from there.

#[cfg(test)]
mod bootc_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod uki_tests;
#[cfg(test)]
mod visible_tests;

mod bound;
mod etc;
mod side_by_side;
mod state;
mod visible;

use std::{collections::BTreeMap, sync::Arc};

use sealstone_boot::{Blob, BlsEntry, BootDigest, BootError, EntryName, Esp, image_file};
use sealstone_store::{Control, Durable, Error, tree::Tree};

use crate::{
    DeployError, DeployedAddon, DeploymentId, ImageId, Plan, Populated, Record, Room, State, Step, Target,
    keep::{Kept, forget, keep, release, release_manifest},
    target::World,
};

/// A boot partition that failed while others did not: what it should have got is missing there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedPartition {
    /// The boot partition.
    pub place: String,
    /// What failed.
    pub reason: String,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// How many steps there were.
    pub steps: usize,
    /// The files of `/etc` and `/var` that were written, and what of them needs root.
    pub populated: Populated,
    /// The files of an image store that were written, and what of them needs root.
    pub image_store: Populated,
    /// The boot partitions that failed on the way. Each other one has all that it should have.
    pub failed: Vec<FailedPartition>,
}

/// Runs a plan.
///
/// # Errors
/// [`DeployError::Changed`] when the target is not what the plan was made for, [`sealstone_boot::BootError::NoSpace`]
/// before anything is written, and what the steps bring: the old system boots then, and a new plan goes on.
pub fn apply(target: &Target, plan: &Plan, control: &Control) -> Result<Applied, DeployError> {
    if plan.is_empty() && !target.sysroot.has_temporary()? {
        return Ok(Applied::default());
    }
    let _lock = target.sysroot.lock()?;
    let world = World::read(target)?;
    if world.fingerprint() != plan.world {
        return Err(DeployError::Changed);
    }
    plan.etc.check()?;
    check_room(target, plan)?;
    let failed = BTreeMap::new();
    let views = visible::views(&target.esps);
    let mut run = Run { target, plan, control, world, kept: None, failed, views, done: Applied::default() };
    let result = run.steps(&plan.steps);
    // Also of a run that failed: what it did is not to be seen in part.
    let result = result.and(run.show_rest());
    run.note_failed();
    // What is not whole is only in the way; that it cannot be removed is no reason to fail.
    let _ = target.sysroot.remove_temporary();
    result.map(|()| run.done)
}

fn esp(target: &Target, number: usize) -> Result<&Esp, DeployError> {
    target.esps.get(number).ok_or(DeployError::Changed)
}

/// Puts the kernel of an image on a boot partition.
fn write_kernel(
    target: &Target,
    plan: &Plan,
    number: usize,
    (image, digest): (&ImageId, &BootDigest),
) -> Result<(), DeployError> {
    let pair = plan.trees.boot_pair(&target.repository, image)?.ok_or(DeployError::Changed)?;
    let found = pair.sizes().digest;
    if found != *digest {
        let reason = format!("kernel and initramfs have the digest {found}, and {digest} is recorded");
        return Err(BootError::Corrupt { what: format!("image {image}"), reason }.into());
    }
    Ok(esp(target, number)?.write_kernel(&pair)?)
}

/// D9 (6): room is counted again, before anything is written.
fn check_room(target: &Target, plan: &Plan) -> Result<(), DeployError> {
    let Some((sysroot, esps)) = plan.room.split_first() else { return Ok(()) };
    let space = target.sysroot.dir().space()?;
    let now = Room { free: space.available, inodes_free: space.free_inodes, ..sysroot.clone() };
    if let Some(shortage) = now.shortage() {
        return Err(shortage);
    }
    for (esp, room) in target.esps.iter().zip(esps).filter(|(_, room)| room.needed > 0) {
        // What goes first gives its room back.
        esp.check_space(room.needed.saturating_sub(room.freed))?;
    }
    Ok(())
}

struct Run<'a> {
    target: &'a Target,
    plan: &'a Plan,
    control: &'a Control,
    /// What was there when the run began.
    world: World,
    kept: Option<Durable<Kept>>,
    /// The boot partitions that failed, by their numbers, and why.
    failed: BTreeMap<usize, String>,
    /// What of the boot partitions a boot loader sees.
    views: Vec<visible::View>,
    done: Applied,
}

impl<'a> Run<'a> {
    /// A step. A boot partition that fails is left alone from there on.
    fn step_or_note(&mut self, step: &Step) -> Result<(), DeployError> {
        // D8: seen first, then relied on.
        self.show_before(step)?;
        let Some(number) = step.boot_partition() else { return self.step(step) };
        if self.failed.contains_key(&number) {
            return Ok(());
        }
        let done = self.step(step);
        self.note_unseen(step);
        self.note(number, done)
    }

    /// What became of a step on a boot partition: one that fails is no error if another one has the entries. An update of a
    /// degraded RAID 1 goes on.
    fn note(&mut self, number: usize, done: Result<(), DeployError>) -> Result<(), DeployError> {
        match done {
            Err(DeployError::Boot(error)) if error.is_of_the_medium() && self.has_other(number) => {
                self.failed.insert(number, error.to_string());
                Ok(())
            }
            done => done,
        }
    }

    /// Whether another boot partition with entries works.
    fn has_other(&self, failing: usize) -> bool {
        (0..self.target.esps.len()).any(|number| {
            let works = number != failing && !self.failed.contains_key(&number);
            works && self.target.entry_partition(&self.world, number).is_some()
        })
    }

    fn note_failed(&mut self) {
        for (number, reason) in std::mem::take(&mut self.failed) {
            let place = self.target.esps.get(number).map(Esp::name).unwrap_or_default();
            self.done.failed.push(FailedPartition { place, reason });
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), DeployError> {
        self.control.check().map_err(|_| Error::Cancelled)?;
        let Target { sysroot, repository, .. } = self.target;
        match step {
            // D1: what a name needs is durable before the name is.
            Step::Keep { deployments } => self.kept = Some(keep(repository, deployments)?),
            Step::WriteRecord { id, state } => self.write_record(id, *state)?,
            Step::MakeVar { image } => self.make_var(image)?,
            Step::MakeState { id, from, policy } => self.make_state(id, from.as_ref(), policy)?,
            Step::MakeImageStore { id } => self.make_image_store(id)?,
            Step::MergeEtc { id, from, policy } => self.merge_etc(id, from, policy)?,
            Step::WriteKernel { esp, image, digest } => {
                write_kernel(self.target, self.plan, *esp, (image, digest))?;
            }
            Step::WriteLoader { esp, path, image, source } => {
                let esp = self.esp(*esp)?;
                let tree = self.tree(image)?;
                let blob = image_file(&tree, repository, source)?.ok_or(DeployError::Changed)?;
                esp.put_loader_file(path, &blob)?;
            }
            Step::WriteLoaderText { esp, path, text } => self.esp(*esp)?.put_text(path, text)?,
            Step::WriteUki { esp, id, object, size, addons } => {
                let blob = |object, size| Blob::Object(repository.clone(), object, size);
                let addon = |addon: &DeployedAddon| (addon.name.clone(), blob(addon.object, addon.size));
                let addons: Vec<(String, Blob)> = addons.iter().map(addon).collect();
                self.esp(*esp)?.write_uki(&id.to_string(), &blob(*object, *size), &addons)?;
            }
            Step::WriteEntry { esp, name, text } => {
                let entry: BlsEntry = text.parse()?;
                self.kept(&entry.sealstone_id().unwrap_or_default().parse()?)?;
                self.esp(*esp)?.write_entry(&EntryName::parse(name)?, &entry)?;
            }
            Step::RemoveEntry { esp, name } => self.esp(*esp)?.remove_entry(&EntryName::parse(name)?)?,
            Step::RemoveRecord { id } => sysroot.remove_record(id)?,
            Step::RemoveState { id } => self.remove_state(id)?,
            Step::Release { deployment, is_shared } => release(repository, deployment, *is_shared)?,
            Step::Forget { id } => forget(repository, id)?,
            Step::WriteOrigin { id } => self.write_origin(id)?,
            Step::ReleaseManifest { manifest } => release_manifest(repository, manifest)?,
            Step::RemoveBootcFiles { esp, path } => self.esp(*esp)?.remove_bootc_files(path)?,
            Step::RemoveKernel { esp, digest } => self.esp(*esp)?.remove_kernel(digest)?,
        }
        self.done.steps += 1;
        Ok(())
    }

    /// A record as the plan wants it, else as it was.
    fn record(&self, id: &DeploymentId) -> Result<&Record, DeployError> {
        self.plan.record(id).or_else(|| self.world.record(id)).ok_or(DeployError::Changed)
    }

    fn esp(&self, number: usize) -> Result<&'a Esp, DeployError> {
        esp(self.target, number)
    }

    /// The store's proof for a deployment.
    fn kept(&self, id: &DeploymentId) -> Result<&Durable<Kept>, DeployError> {
        let kept = self.kept.as_ref().filter(|kept| kept.has(id));
        kept.ok_or_else(|| DeployError::NotKept { id: id.to_string() })
    }

    fn tree(&self, image: &ImageId) -> Result<Arc<Tree>, DeployError> {
        self.plan.trees.tree(&self.target.repository, image)
    }

    fn write_record(&self, id: &DeploymentId, state: State) -> Result<(), DeployError> {
        let record = Record { state, ..self.record(id)?.clone() };
        let kept = self.kept.as_ref().ok_or_else(|| DeployError::NotKept { id: id.to_string() })?;
        self.target.sysroot.write_record(&record, kept)
    }
}
