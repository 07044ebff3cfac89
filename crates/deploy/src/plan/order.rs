//! The order of a plan's steps, the same for every verb.
//!
//! What lives here: from the records as they are and as they shall be to steps. What does not: the choice of records.
//! The order: refs of all that stays; records of what turned out broken; what must go early for room; the new deployment,
//! its kernel, its record; other records; entries; what goes. After any step the old system boots (rules D9, D11), and a
//! new plan goes on from there.

use sealstone_boot::BootDigest;

use super::{
    Plan, Pruned, Step,
    boot_steps::{bootc_files_to_remove, claimed, describe, entry_steps, kernels_to_write},
    planner::{Gone, Planner},
    sections::KargsSection,
};
use crate::{
    DeployError, DeployedUki, DeploymentId, Keeping, Record, State,
    entries::{Entries, menu},
    target::{Loss, World},
};

impl Planner<'_> {
    /// The plan.
    pub(super) fn finish(mut self) -> Result<Plan, DeployError> {
        let is_short = self.make_room()?;
        self.rooms()?;
        let mut disks: Vec<Entries> = self.world.esps.iter().map(|boot| claimed(&self.world, boot)).collect();
        let before = disks.clone();
        let mut steps = Vec::new();
        self.write_broken(&mut steps);
        if is_short {
            self.leave_early(&mut disks, &mut steps)?;
        }
        steps.append(&mut self.make);
        for number in 0..self.target.esps.len() {
            for record in kernels_to_write(self.target, &self.world, number, &self.after)? {
                steps.push(write_step(number, record));
            }
        }
        // Before the entries, which an older boot loader may not read.
        for writes in &mut self.loader {
            steps.append(&mut writes.steps);
        }
        self.write_records(&mut steps);
        self.leave_menu(false, &mut steps);
        for (number, disk) in disks.iter_mut().enumerate() {
            if self.target.entry_partition(&self.world, number).is_none() {
                continue;
            }
            steps.extend(entry_steps(self.target, &self.world, number, disk, &self.after)?);
            let gone_already = if is_short { self.kernels_that_go(number, true) } else { Vec::new() };
            let ukis_gone = if is_short { self.ukis_that_go(number, true) } else { Vec::new() };
            let goes = self.kernels_that_go(number, false).into_iter();
            steps.extend(removals(number, goes.filter(|kernel| !gone_already.contains(kernel)).collect()));
            let of_bootc = bootc_files_to_remove(&self.world, number, &self.after, disk).into_iter();
            let of_bootc = of_bootc.filter(|path| !ukis_gone.contains(path));
            steps.extend(of_bootc.map(|path| Step::RemoveBootcFiles { esp: number, path }));
        }
        self.end(false, &mut steps);
        for (before, after) in before.iter().zip(&disks) {
            describe(before, after, &mut self.plan.entries);
        }
        Ok(self.sections(steps))
    }

    /// D9: an entry goes before its kernel, and both before what the deployment is made of.
    fn leave_early(&mut self, disks: &mut [Entries], steps: &mut Vec<Step>) -> Result<(), DeployError> {
        self.leave_menu(true, steps);
        let is_early =
            |id: &DeploymentId| self.gone.iter().any(|gone| gone.is_early && gone.record.id == *id);
        let rest: Vec<Record> = self.before.iter().filter(|record| !is_early(&record.id)).cloned().collect();
        for (number, disk) in disks.iter_mut().enumerate() {
            if self.target.entry_partition(&self.world, number).is_none() {
                continue;
            }
            steps.extend(entry_steps(self.target, &self.world, number, disk, &rest)?);
            steps.extend(removals(number, self.kernels_that_go(number, true)));
            let ukis = self.ukis_that_go(number, true).into_iter();
            steps.extend(ukis.map(|path| Step::RemoveBootcFiles { esp: number, path }));
        }
        self.end(true, steps);
        Ok(())
    }

    /// The records of what turned out broken, or whole again, since they were written.
    fn write_broken(&mut self, steps: &mut Vec<Step>) {
        for record in &self.before {
            let was = self.world.record(&record.id).map(|was| &was.broken);
            let is_new = self.plan.deployment.as_ref().is_some_and(|new| new.id == record.id);
            if was.is_some_and(|was| *was != record.broken) && !is_new {
                steps.push(Step::WriteRecord { id: record.id, state: record.state });
                self.plan.rewritten.push(record.clone());
            }
        }
    }

    /// The records of what is taken over, then that of the new deployment, which is wanted in the menu from here on, then
    /// those of others that change.
    fn write_records(&mut self, steps: &mut Vec<Step>) {
        let new = self.plan.deployment.as_ref().map(|record| record.id);
        self.write_adopted_that_go(steps);
        let is_written =
            |record: &Record| self.before.contains(record) && !self.world.adopted.contains(&record.id);
        let mut changed: Vec<&Record> = self.after.iter().filter(|record| !is_written(record)).collect();
        // What is taken over comes first: what has no record yet when a new one has may be taken for newer than that.
        let is_adopted = |record: &Record| self.world.adopted.contains(&record.id);
        changed.sort_by_key(|record| (!is_adopted(record), Some(record.id) != new, record.order));
        for record in changed {
            // Before the record, so that a rerun after a kill finds that it is still to be done.
            if self.has_old_origin(record) {
                steps.push(Step::WriteOrigin { id: record.id });
            }
            steps.push(Step::WriteRecord { id: record.id, state: record.state });
            if Some(record.id) == new {
                self.plan.deployment = Some(record.clone());
            } else {
                self.plan.rewritten.retain(|other| other.id != record.id);
                self.plan.rewritten.push(record.clone());
            }
        }
    }

    /// The records of what is taken over and goes at once, as if it stayed: a run that is cut off before it went must not
    /// leave it without a record beside a new one that has one.
    fn write_adopted_that_go(&mut self, steps: &mut Vec<Step>) {
        for Gone { record, .. } in self.gone.iter().filter(|gone| !gone.is_early) {
            if self.world.adopted.contains(&record.id) {
                steps.push(Step::WriteRecord { id: record.id, state: record.state });
                self.plan.rewritten.push(record.clone());
            }
        }
    }

    /// Whether the state folder of a deployment that stays says of another image than its record will.
    fn has_old_origin(&self, record: &Record) -> bool {
        let was = self.world.record(&record.id).filter(|was| was.state != State::Making);
        let has_state = self.world.states.contains(&record.id.to_string());
        has_state && was.is_some_and(|was| was.image != record.image)
    }

    /// The records of what goes say so first: from here on nothing wants them in the menu.
    fn leave_menu(&mut self, early: bool, steps: &mut Vec<Step>) {
        for gone in self.gone.iter().filter(|gone| gone.is_early == early) {
            if self.world.record(&gone.record.id).is_some_and(|record| record.state != State::Making) {
                steps.push(Step::WriteRecord { id: gone.record.id, state: State::Making });
                self.plan.rewritten.retain(|other| other.id != gone.record.id);
                self.plan.rewritten.push(Record { state: State::Making, ..gone.record.clone() });
            }
        }
    }

    /// The end of what goes, after its entries went: state, refs, and the record last, so that a rerun goes on.
    fn end(&self, early: bool, steps: &mut Vec<Step>) {
        for gone in self.gone.iter().filter(|gone| gone.is_early == early) {
            let (record, id) = (&gone.record, gone.record.id);
            let others = self.gone.iter().filter(|other| early && !other.is_early).map(|other| &other.record);
            let same = |other: &Record| other.image.manifest == record.image.manifest;
            // Of records that cannot be read nobody knows what they need.
            let is_shared = !self.world.broken.is_empty() || self.after.iter().chain(others).any(same);
            let state = record.state_id();
            let goes_with_it = || self.has_state(&state) && !self.is_state_shared(record, early);
            if goes_with_it() && !steps.contains(&Step::RemoveState { id: state }) {
                steps.push(Step::RemoveState { id: state });
            }
            steps.push(Step::Release { deployment: Keeping::of(record), is_shared });
            steps.push(Step::RemoveRecord { id });
        }
    }

    fn has_state(&self, id: &DeploymentId) -> bool {
        self.world.states.contains(&id.to_string())
    }

    /// Whether another deployment that stays has the same state folder, or one whose record cannot be read may have it.
    fn is_state_shared(&self, record: &Record, early: bool) -> bool {
        let state = record.state_id();
        let later = self.gone.iter().filter(|other| early && !other.is_early).map(|other| &other.record);
        let others = self.after.iter().chain(later).filter(|other| other.id != record.id);
        let unread = format!("{state}.");
        others.map(Record::state_id).any(|other| other == state)
            || (state.copy() == 0 && self.world.broken.iter().any(|it| it.file.starts_with(&unread)))
    }

    /// What the plan says beside its steps; and the refs first, whose proof the steps need.
    fn sections(mut self, mut steps: Vec<Step>) -> Plan {
        let is_new =
            |id: &DeploymentId| self.world.record(id).is_none_or(|record| record.state == State::Making);
        let (added, kept) = self.menu_ids().into_iter().partition(is_new);
        let section = &mut self.plan.deployments;
        (section.added, section.kept) = (added, kept);
        for gone in &self.gone {
            section.pruned.push(Pruned { id: gone.record.id, reason: gone.reason.clone() });
        }
        let first = self.menu_after().into_iter().next().cloned();
        if let Some(first) = first {
            self.plan.kargs = KargsSection::between(menu(&self.before).first().copied(), &first);
        }
        if !steps.is_empty() {
            let stays = self.after.iter().chain(self.gone.iter().map(|gone| &gone.record));
            let deployments = stays.filter_map(|record| keeping(&self.world, record)).collect();
            steps.insert(0, Step::Keep { deployments });
        }
        self.plan.steps = steps;
        self.plan
    }

    fn menu_ids(&self) -> Vec<DeploymentId> {
        let mut records: Vec<&Record> = self.after.iter().collect();
        records.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
        records.into_iter().map(|record| record.id).collect()
    }
}

/// The step that writes what boots a deployment.
fn write_step(esp: usize, record: &Record) -> Step {
    let image = record.image.id;
    match &record.kernel.uki {
        None => Step::WriteKernel { esp, image, digest: record.kernel.sizes.digest },
        Some(DeployedUki { object, addons, .. }) => {
            let (id, size) = (record.id, record.kernel.sizes.vmlinuz);
            Step::WriteUki { esp, id, object: *object, size, addons: addons.clone() }
        }
    }
}

fn removals(esp: usize, kernels: Vec<BootDigest>) -> impl Iterator<Item = Step> {
    kernels.into_iter().map(move |digest| Step::RemoveKernel { esp, digest })
}

/// What of a deployment can be kept: nothing without its image.
pub(super) fn keeping(world: &World, record: &Record) -> Option<Keeping> {
    let keeping = Keeping::of(record);
    match world.losses.get(&record.id) {
        Some(Loss::Image(_)) => None,
        Some(Loss::Streams(_)) => Some(Keeping { is_partial: true, ..keeping }),
        None => Some(keeping),
    }
}
