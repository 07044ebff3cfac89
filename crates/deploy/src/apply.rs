//! Doing what a plan says, step by step.
//!
//! What lives here: the steps. What does not: any decision. Invariants: the target is locked and is what the plan was
//! made for; each step is durable before the next; nothing that names a deployment is written without the store's proof
//! that it is kept (`Durable<Kept>`), which only the first step makes. Killed anywhere, a new plan goes on from there.

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use sealstone_boot::{BlsEntry, BootError, EntryName, Esp, Kernel};
use sealstone_store::{
    Control, Durable, Error,
    disk::{Dir, Rename},
    tree::{FileType, Tree},
};

use crate::{
    DeployError, DeploymentId, ImageId, Plan, Populated, Record, Step, Target,
    image_tree::image_tree,
    keep::{Kept, keep, release},
    origin::Origin,
    populate::populate,
    record::State,
    sysroot::{DEPLOY, OS, VAR, remove_tree},
    target::World,
};

/// What `var` of a deployment's folder says: the shared one, from `state/deploy/<id>/`.
const SHARED_VAR: &str = "../../os/default/var";

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// How many steps there were.
    pub steps: usize,
    /// The files of `/etc` and `/var` that were written, and what of them needs root.
    pub populated: Populated,
}

/// Runs a plan.
///
/// # Errors
/// [`DeployError::Changed`] when the target is not what the plan was made for, [`sealstone_boot::BootError::NoSpace`]
/// before anything is written, and what the steps bring: the old system boots then, and a new plan goes on.
pub fn apply(target: &Target, plan: &Plan, control: &Control) -> Result<Applied, DeployError> {
    if plan.is_empty() {
        return Ok(Applied::default());
    }
    let _lock = target.sysroot.lock()?;
    if World::read(target)?.fingerprint() != plan.world {
        return Err(DeployError::Changed);
    }
    check_room(target, plan)?;
    let mut run = Run { target, plan, control, kept: None, tree: None, done: Applied::default() };
    let result = plan.steps.iter().try_for_each(|step| run.step(step));
    // What is not whole is only in the way; that it cannot be removed is no reason to fail.
    let _ = target.sysroot.remove_temporary();
    result.map(|()| run.done)
}

/// D9 (6): room is counted again, before anything is written.
fn check_room(target: &Target, plan: &Plan) -> Result<(), DeployError> {
    let Some((sysroot, esps)) = plan.room.split_first() else { return Ok(()) };
    let free = target.sysroot.dir().space()?.available;
    if free < sysroot.needed {
        let (place, needed) = (sysroot.place.clone(), sysroot.needed);
        return Err(BootError::NoSpace { place, needed, free }.into());
    }
    for (esp, room) in target.esps.iter().zip(esps) {
        esp.check_space(room.needed)?;
    }
    Ok(())
}

struct Run<'a> {
    target: &'a Target,
    plan: &'a Plan,
    control: &'a Control,
    kept: Option<Durable<Kept>>,
    /// The tree of the image that was last needed.
    tree: Option<(ImageId, Tree)>,
    done: Applied,
}

impl<'a> Run<'a> {
    fn step(&mut self, step: &Step) -> Result<(), DeployError> {
        self.control.check().map_err(|_| Error::Cancelled)?;
        let Target { sysroot, repository, .. } = self.target;
        match step {
            // D1: what a name needs is durable before the name is.
            Step::Keep { deployments } => self.kept = Some(keep(repository, deployments)?),
            Step::WriteStaged { id } => self.write_record(id, State::Staged)?,
            Step::MakeVar { image } => self.make_var(image)?,
            Step::MakeState { id } => self.make_state(id)?,
            Step::WriteKernel { esp, image, digest } => {
                let esp = self.esp(*esp)?;
                let tree = self.tree(image)?;
                let kernel = Kernel::find(tree)?.ok_or(DeployError::Changed)?;
                let (vmlinuz, initramfs) = kernel.blobs(tree, repository)?;
                esp.write_kernel(digest, &vmlinuz, &initramfs)?;
            }
            Step::WriteDeployed { id } => self.write_record(id, State::Deployed)?,
            Step::WriteEntry { esp, name, text } => {
                let entry: BlsEntry = text.parse()?;
                self.kept(&entry.sealstone_id().unwrap_or_default().parse()?)?;
                self.esp(*esp)?.write_entry(&EntryName::parse(name)?, &entry)?;
            }
            Step::RemoveEntry { esp, name } => self.esp(*esp)?.remove_entry(&EntryName::parse(name)?)?,
            Step::RemoveRecord { id } => sysroot.remove_record(id)?,
            Step::RemoveState { id } => {
                let deploy = sysroot.ensure(DEPLOY)?;
                remove_tree(&deploy, &id.to_string())?;
                deploy.sync()?;
            }
            Step::Release { deployment, is_shared } => release(repository, deployment, *is_shared)?,
            Step::RemoveKernel { esp, digest } => self.esp(*esp)?.remove_kernel(digest)?,
        }
        self.done.steps += 1;
        Ok(())
    }

    /// The record that the plan makes.
    fn record(&self, id: &DeploymentId) -> Result<&'a Record, DeployError> {
        self.plan.deployment.as_ref().filter(|record| record.id == *id).ok_or(DeployError::Changed)
    }

    fn esp(&self, number: usize) -> Result<&'a Esp, DeployError> {
        self.target.esps.get(number).ok_or(DeployError::Changed)
    }

    /// The store's proof for a deployment.
    fn kept(&self, id: &DeploymentId) -> Result<&Durable<Kept>, DeployError> {
        let kept = self.kept.as_ref().filter(|kept| kept.has(id));
        kept.ok_or_else(|| DeployError::NotKept { id: id.to_string() })
    }

    fn tree(&mut self, image: &ImageId) -> Result<&Tree, DeployError> {
        let known = self.tree.take_if(|(known, _)| known == image);
        let entry = match known {
            Some(known) => known,
            None => (*image, image_tree(&self.target.repository, image)?),
        };
        Ok(&self.tree.insert(entry).1)
    }

    fn write_record(&self, id: &DeploymentId, state: State) -> Result<(), DeployError> {
        let record = Record { state, ..self.record(id)?.clone() };
        self.target.sysroot.write_record(&record, self.kept(id)?)
    }

    /// The shared `/var`: of the first image, once and for all.
    fn make_var(&mut self, image: &ImageId) -> Result<(), DeployError> {
        let place = self.target.sysroot.ensure(OS)?;
        if place.exists(VAR)? {
            return Ok(());
        }
        let temporary = self.target.sysroot.fresh_temporary(VAR)?;
        self.fill(image, b"var", &temporary)?;
        // D2: everything in it, before D3: its name.
        temporary.sync_file_system()?;
        temporary.rename(VAR, &place, VAR, Rename::NoReplace)?;
        place.sync()?;
        Ok(temporary.sync()?)
    }

    /// A deployment's own folder, as bootc's initramfs wants it. Whole or not there at all.
    fn make_state(&mut self, id: &DeploymentId) -> Result<(), DeployError> {
        const STATE: &str = "state";
        let place = self.target.sysroot.ensure(DEPLOY)?;
        if place.exists(id.to_string())? {
            return Ok(());
        }
        let record = self.record(id)?;
        let temporary = self.target.sysroot.fresh_temporary(STATE)?;
        let state = temporary.ensure_dir(STATE, 0o755)?;
        self.fill(id.image(), b"etc", &state)?;
        state.symlink(SHARED_VAR, VAR)?;
        let origin = state.create_new(format!("{id}.origin"), 0o644)?;
        origin.write_all_at(0, Origin(record).to_string().as_bytes())?;
        origin.set_mode(0o644)?;
        temporary.set_mode(STATE, 0o755)?;
        // D2, D11: the folder is whole on the disk before it has the name that a boot looks for.
        temporary.sync_file_system()?;
        temporary.rename(STATE, &place, id.to_string(), Rename::NoReplace)?;
        place.sync()?;
        Ok(temporary.sync()?)
    }

    /// Copies a folder of the image's root, or makes an empty one where the image has none.
    fn fill(&mut self, image: &ImageId, name: &[u8], parent: &Dir) -> Result<(), DeployError> {
        let (repository, control) = (&self.target.repository, self.control);
        let name_text = String::from_utf8_lossy(name).into_owned();
        let tree = self.tree(image)?;
        let folder = tree.lookup(tree.root(), name).filter(|f| tree.file_type(*f) == FileType::Directory);
        if let Some(folder) = folder {
            let populated = populate(tree, folder, repository, (parent, &name_text), control)?;
            self.done.populated.add(populated);
        } else {
            parent.create_dir(&name_text, 0o755)?;
            parent.set_mode(&name_text, 0o755)?;
        }
        Ok(())
    }
}
