//! The one planner behind every verb: from the records there are and those that shall be to steps in a safe order.
//!
//! What lives here: what all plans have in common, and the order of steps. What does not: which deployments a verb makes,
//! moves or ends (`deploy.rs`, `rollback.rs` and others), what a boot partition needs (`boot_steps.rs`).
//! The order: refs of all that stays; records of what turned out broken; what must go early for room; the new deployment,
//! its kernel, its record; other records; entries; what goes. After any step the old system boots (rules D9, D11), and a
//! new plan goes on from there.

use std::collections::BTreeSet;

use sealstone_boot::BootDigest;

use super::{
    Plan, Pruned, Room, Step,
    boot_steps::{claimed, describe, entry_steps, kernels_to_remove, kernels_to_write, unclaimed},
    sections::KargsSection,
};
use crate::{
    DeployError, DeploymentId, Keeping, Record, Retention, State, Target,
    entries::{Entries, menu},
    retention::{oldest, protected},
    target::{Loss, World},
};

/// Why a record is broken whose image is lost: taken back when the image is there again.
const IMAGE_LOST: &str = "its image is lost";

/// Why a deployment goes that is not whole.
const NOT_ENDED: &str = "it was begun, and not ended";

/// A plan on the way.
pub(super) struct Planner<'a> {
    pub(super) target: &'a Target,
    pub(super) world: World,
    /// The deployment that runs.
    pub(super) running: Option<DeploymentId>,
    /// The records as they shall be, in no order.
    pub(super) after: Vec<Record>,
    pub(super) plan: Plan,
    /// What a new deployment needs before its kernel.
    pub(super) make: Vec<Step>,
    /// What the sysroot needs: bytes and inodes.
    pub(super) needed: (u64, u64),
    /// Whether the oldest go when a boot partition is short.
    pub(super) make_room: bool,
    /// The records as they are, by what is known of them now, without those that nothing boots.
    before: Vec<Record>,
    gone: Vec<Gone>,
}

/// A deployment that goes.
struct Gone {
    record: Record,
    reason: String,
    /// Whether it goes before the new one is made, since its room is needed.
    is_early: bool,
}

impl<'a> Planner<'a> {
    /// Looks at what is there: what is lost is noted, what is not whole goes.
    pub(super) fn new(target: &'a Target, running: Option<&DeploymentId>) -> Result<Self, DeployError> {
        let world = World::read(target)?;
        let mut plan = Plan::new(&world);
        let before: Vec<Record> = world.records.iter().map(|record| judged(&world, record)).collect();
        let after = before.clone();
        plan.warnings = warnings(target, &world);
        let mut planner = Self {
            target,
            world,
            running: running.copied(),
            after,
            plan,
            make: Vec::new(),
            needed: (0, 0),
            make_room: true,
            before,
            gone: Vec::new(),
        };
        let is_making = |record: &&Record| record.state == State::Making;
        let making: Vec<DeploymentId> =
            planner.after.iter().filter(is_making).map(|record| record.id).collect();
        for id in making {
            planner.remove(&id, NOT_ENDED);
        }
        Ok(planner)
    }

    /// The record of a deployment that stays.
    pub(super) fn record(&self, id: &DeploymentId) -> Option<&Record> {
        self.after.iter().find(|record| record.id == *id)
    }

    /// The record of a deployment that stays.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Missing`].
    pub(super) fn change(&mut self, id: &DeploymentId) -> Result<&mut Record, DeployError> {
        let found = self.after.iter_mut().find(|record| record.id == *id);
        let missing = || sealstone_store::Error::Missing { what: format!("deployment {id}") };
        Ok(found.ok_or_else(missing)?)
    }

    /// Makes an end of a deployment.
    pub(super) fn remove(&mut self, id: &DeploymentId, reason: &str) {
        let Some(position) = self.after.iter().position(|record| record.id == *id) else { return };
        let record = self.after.swap_remove(position);
        self.gone.push(Gone { record, reason: reason.to_owned(), is_early: false });
    }

    /// Takes a deployment that was begun and not ended up again, as `record`; or a new one.
    pub(super) fn add(&mut self, record: Record) {
        self.gone.retain(|gone| gone.record.id != record.id);
        self.after.retain(|other| other.id != record.id);
        self.after.push(record);
    }

    /// The highest serial and order there are, of deployments that stay or go.
    pub(super) fn highest(&self) -> (u64, u64) {
        let all = || self.world.records.iter().chain(&self.after);
        let serial = all().map(|record| record.serial).max().unwrap_or_default();
        (serial, all().map(|record| record.order).max().unwrap_or_default())
    }

    /// Puts a deployment first in the menu, and what runs second, so that a rollback leads back to it.
    pub(super) fn put_first(&mut self, id: &DeploymentId) -> Result<(), DeployError> {
        let wanted: Vec<DeploymentId> = [Some(*id), self.running].into_iter().flatten().collect();
        let others: Vec<DeploymentId> =
            menu(&self.after).into_iter().map(|record| record.id).filter(|other| other != id).collect();
        let runs_second = self.running.is_none_or(|running| {
            running == *id || others.first() == Some(&running) || !others.contains(&running)
        });
        let (_, order) = self.highest();
        if !runs_second && let Some(running) = wanted.get(1) {
            self.change(running)?.order = order + 1;
        }
        let highest_other = others.iter().filter_map(|id| self.record(id)).map(|record| record.order).max();
        let record = self.change(id)?;
        if highest_other.is_some_and(|other| other >= record.order) {
            record.order = if runs_second { order + 1 } else { order + 2 };
        }
        Ok(())
    }

    /// Those that never go with this plan.
    pub(super) fn protected(&self) -> BTreeSet<DeploymentId> {
        let mut protected = protected(&self.menu_after(), self.running.as_ref());
        protected.extend(self.plan.deployment.as_ref().map(|record| record.id));
        protected
    }

    /// The menu as it will be once what is staged is finalised.
    fn menu_after(&self) -> Vec<&Record> {
        let staged = self.after.iter().filter(|record| record.state == State::Staged);
        staged.chain(menu(&self.after)).collect()
    }

    /// Ends what may not stay by count, age, version and free space.
    pub(super) fn prune(&mut self, retention: &Retention, now: i64) -> Result<(), DeployError> {
        self.make_room = retention.make_room;
        let pruned = retention.choose(&self.menu_after(), &self.protected(), now);
        for Pruned { id, reason } in pruned {
            self.remove(&id, &reason);
        }
        let Some(wanted) = retention.esp_free else { return Ok(()) };
        while self.shortage(wanted, false)? > 0 {
            let Some(oldest) = oldest(&self.menu_after(), &self.protected()).map(|record| record.id) else {
                break;
            };
            self.remove(&oldest, "the boot partition has too little room free");
        }
        Ok(())
    }

    /// How many bytes the fullest boot partition is short of having `free` left in the end; `early` says that only what
    /// goes early counts.
    fn shortage(&self, free: u64, early: bool) -> Result<u64, DeployError> {
        let mut shortage = 0;
        for number in 0..self.target.esps.len() {
            let room = self.esp_room(number, early)?;
            shortage = shortage.max((room.needed + free).saturating_sub(room.free + room.freed));
        }
        Ok(shortage)
    }

    /// What a boot partition needs, has, and gets back.
    fn esp_room(&self, number: usize, early: bool) -> Result<Room, DeployError> {
        let Some(esp) = self.target.esps.get(number) else { return Err(DeployError::Changed) };
        let mut needed = 0;
        for record in kernels_to_write(self.target, &self.world, number, &self.after)? {
            needed += esp.bytes_needed(&record.kernel.sizes)?;
        }
        let mut freed = 0;
        for kernel in self.kernels_that_go(number, early) {
            freed += esp.kernel_bytes(&kernel)?;
        }
        let free = esp.space()?.available;
        Ok(Room { place: esp.name(), needed, free, freed, inodes_needed: 0, inodes_free: 0 })
    }

    /// The kernels that nobody needs, once what goes (early) is gone.
    fn kernels_that_go(&self, esp: usize, early: bool) -> Vec<BootDigest> {
        let goes = |gone: &&Gone| !early || gone.is_early;
        let owned = self.gone.iter().filter(goes).map(|gone| gone.record.kernel.sizes.digest).collect();
        let mut stays = self.after.clone();
        if early {
            stays.extend(self.gone.iter().filter(|gone| !gone.is_early).map(|gone| gone.record.clone()));
        }
        kernels_to_remove(&self.world, esp, &stays, &owned)
    }

    /// Lets go early what is needed to make room, the oldest first: of what goes anyway, then of the rest. What boots
    /// until the new deployment is whole is not touched.
    fn make_room(&mut self) -> Result<bool, DeployError> {
        if self.target.esps.is_empty() || !self.is_short_without_removals()? {
            return Ok(false);
        }
        let mut protected = self.protected();
        protected.extend(menu(&self.before).first().map(|record| record.id));
        while self.shortage(0, true)? > 0 {
            let mut going: Vec<&mut Gone> = self
                .gone
                .iter_mut()
                .filter(|gone| !gone.is_early && !protected.contains(&gone.record.id))
                .collect();
            going.sort_by_key(|gone| (gone.record.order, gone.record.serial));
            if let Some(gone) = going.into_iter().next() {
                gone.is_early = true;
                continue;
            }
            let next = if self.make_room { oldest(&menu(&self.after), &protected) } else { None };
            let Some(id) = next.map(|record| record.id) else { break };
            self.remove(&id, "the boot partition needs its room");
            if let Some(gone) = self.gone.last_mut() {
                gone.is_early = true;
            }
        }
        Ok(true)
    }

    fn is_short_without_removals(&self) -> Result<bool, DeployError> {
        for number in 0..self.target.esps.len() {
            let room = self.esp_room(number, true)?;
            if room.needed > room.free {
                return Ok(true);
            }
        }
        Ok(false)
    }

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
                let (image, digest) = (record.image.id, record.kernel.sizes.digest);
                steps.push(Step::WriteKernel { esp: number, image, digest });
            }
        }
        self.write_records(&mut steps);
        self.leave_menu(false, &mut steps);
        for (number, disk) in disks.iter_mut().enumerate() {
            steps.extend(entry_steps(self.target, &self.world, number, disk, &self.after)?);
            let gone_already = if is_short { self.kernels_that_go(number, true) } else { Vec::new() };
            let goes = self.kernels_that_go(number, false).into_iter();
            steps.extend(removals(number, goes.filter(|kernel| !gone_already.contains(kernel)).collect()));
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
            steps.extend(entry_steps(self.target, &self.world, number, disk, &rest)?);
            steps.extend(removals(number, self.kernels_that_go(number, true)));
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

    /// The record of the new deployment, which is wanted in the menu from here on, then those of others that change.
    fn write_records(&mut self, steps: &mut Vec<Step>) {
        let new = self.plan.deployment.as_ref().map(|record| record.id);
        let mut changed: Vec<&Record> =
            self.after.iter().filter(|record| self.before.iter().all(|was| was != *record)).collect();
        changed.sort_by_key(|record| (Some(record.id) != new, record.order));
        for record in changed {
            steps.push(Step::WriteRecord { id: record.id, state: record.state });
            if Some(record.id) == new {
                self.plan.deployment = Some(record.clone());
            } else {
                self.plan.rewritten.retain(|other| other.id != record.id);
                self.plan.rewritten.push(record.clone());
            }
        }
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
            if self.world.states.contains(&id.to_string()) {
                steps.push(Step::RemoveState { id });
            }
            steps.push(Step::Release { deployment: Keeping::of(record), is_shared });
            steps.push(Step::RemoveRecord { id });
        }
    }

    fn rooms(&mut self) -> Result<(), DeployError> {
        let space = self.target.sysroot.dir().space()?;
        let (needed, inodes_needed) = self.needed;
        self.plan.room.push(Room {
            place: self.target.sysroot.dir().label().display().to_string(),
            needed,
            free: space.available,
            freed: 0,
            inodes_needed,
            inodes_free: space.free_inodes,
        });
        for number in 0..self.target.esps.len() {
            let room = self.esp_room(number, true)?;
            self.plan.room.push(room);
        }
        Ok(())
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

fn removals(esp: usize, kernels: Vec<BootDigest>) -> impl Iterator<Item = Step> {
    kernels.into_iter().map(move |digest| Step::RemoveKernel { esp, digest })
}

/// What of a deployment can be kept: nothing without its image.
fn keeping(world: &World, record: &Record) -> Option<Keeping> {
    let keeping = Keeping::of(record);
    match world.losses.get(&record.id) {
        Some(Loss::Image(_)) => None,
        Some(Loss::Streams(_)) => Some(Keeping { is_partial: true, ..keeping }),
        None => Some(keeping),
    }
}

/// A record by what is known now: broken if its image is lost, and not any more when it is there again.
fn judged(world: &World, record: &Record) -> Record {
    let is_lost = matches!(world.losses.get(&record.id), Some(Loss::Image(_)));
    let broken = match &record.broken {
        None if is_lost => Some(IMAGE_LOST.to_owned()),
        Some(reason) if reason == IMAGE_LOST && !is_lost => None,
        other => other.clone(),
    };
    Record { broken, ..record.clone() }
}

/// What is worth telling and stops nothing.
fn warnings(target: &Target, world: &World) -> Vec<String> {
    let mut warnings = Vec::new();
    for broken in &world.broken {
        warnings.push(format!("the record {} cannot be read: {}", broken.file, broken.reason));
    }
    for (id, loss) in &world.losses {
        warnings.push(match loss {
            Loss::Image(reason) => format!("the deployment {id} cannot boot: {reason}"),
            Loss::Streams(names) => {
                format!("the deployment {id} boots, but the repository lost {}", names.join(", "))
            }
        });
    }
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        for name in unclaimed(world, boot).keys() {
            warnings.push(format!("the entry {name} on {} has no record: it is left alone", esp.name()));
        }
    }
    warnings
}
