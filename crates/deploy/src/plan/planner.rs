//! The one planner behind every verb: from the records there are and those that shall be to steps in a safe order.
//!
//! What lives here: what all plans have in common: what is there, what shall be, what goes. What does not: which
//! deployments a verb makes, moves or ends (`deploy.rs`, `rollback.rs` and others), the order of steps (`order.rs`), room
//! (`room.rs`).

use std::collections::BTreeSet;

use super::{Plan, Pruned, Step, boot_steps::unclaimed, loader::LoaderWrites};
use crate::{
    DeployError, DeploymentId, Record, Retention, State, Target,
    adopt::is_on_all,
    entries::menu,
    rebuild::{Rebuilt, rebuild},
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
    /// What of the boot loader is written on each boot partition.
    pub(super) loader: Vec<LoaderWrites>,
    /// What the sysroot needs: bytes and inodes.
    pub(super) needed: (u64, u64),
    /// How many of those bytes are a guess.
    pub(super) guessed: u64,
    /// Whether the oldest go when a boot partition is short.
    pub(super) make_room: bool,
    /// The records as they are, by what is known of them now, without those that nothing boots.
    pub(super) before: Vec<Record>,
    pub(super) gone: Vec<Gone>,
}

/// A deployment that goes.
pub(super) struct Gone {
    pub(super) record: Record,
    pub(super) reason: String,
    /// Whether it goes before the new one is made, since its room is needed.
    pub(super) is_early: bool,
}

impl<'a> Planner<'a> {
    /// Looks at what is there: what is lost is noted, what is not whole goes.
    pub(super) fn new(target: &'a Target, running: Option<&DeploymentId>) -> Result<Self, DeployError> {
        let world = World::read(target)?;
        let plan = Plan::new(&world);
        Self::of(target, running, world, plan)
    }

    /// The same, with records of deployments that lost theirs: a plan of this one writes them again.
    pub(super) fn rebuilding(
        target: &'a Target,
        running: Option<&DeploymentId>,
    ) -> Result<Self, DeployError> {
        let mut world = World::read(target)?;
        let mut plan = Plan::new(&world);
        let Rebuilt { records, refused } = rebuild(target, &world)?;
        for (id, reason) in refused {
            let way_out = format!("`store prune {id}` removes what is left of it");
            plan.warnings.push(format!("the record of {id} cannot be made again: {reason}; {way_out}"));
        }
        for record in records {
            plan.warnings.push(format!(
                "the record of {} was lost, and is made again of its entry and its origin: pins, the names of overlays and \
                 of those who set kernel arguments are not known any more",
                record.id
            ));
            world.add_rebuilt(target, record)?;
        }
        Self::of(target, running, world, plan)
    }

    fn of(
        target: &'a Target,
        running: Option<&DeploymentId>,
        world: World,
        mut plan: Plan,
    ) -> Result<Self, DeployError> {
        let before: Vec<Record> = world.records.iter().map(|record| judged(&world, record)).collect();
        let after = placed(target, &world, &before)?;
        plan.warnings.extend(warnings(target, &world));
        let mut planner = Self {
            target,
            world,
            running: running.copied(),
            after,
            plan,
            make: Vec::new(),
            loader: Vec::new(),
            needed: (0, 0),
            guessed: 0,
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
        let others: Vec<DeploymentId> =
            menu(&self.after).into_iter().map(|record| record.id).filter(|other| other != id).collect();
        let running = self.running.filter(|running| others.contains(running));
        if let Some(running) = running
            && others.first() != Some(&running)
        {
            self.change(&running)?.order = self.highest().1 + 1;
        }
        let highest = self.highest().1;
        let is_first =
            |record: &Record| others.iter().filter_map(|id| self.record(id)).all(|o| o.order < record.order);
        if !self.record(id).is_some_and(is_first) {
            self.change(id)?.order = highest + 1;
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
    pub(super) fn menu_after(&self) -> Vec<&Record> {
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
                let missed = self.shortage(wanted, false)?;
                self.plan.missed_free = Some(missed);
                self.plan.warnings.push(format!(
                    "of the {wanted} bytes that shall stay free on each boot partition, {missed} are missing: every deployment \
                     that is left is needed"
                ));
                break;
            };
            self.remove(&oldest, "the boot partition has too little room free");
        }
        Ok(())
    }
}

/// The records, but for kernels that are not where bootc put them any more: ours go where ours are.
fn placed(target: &Target, world: &World, records: &[Record]) -> Result<Vec<Record>, DeployError> {
    let mut placed = records.to_vec();
    for record in &mut placed {
        let kernel = &mut record.kernel;
        if kernel.of_bootc.is_some()
            && !kernel.is_uki()
            && !is_on_all(kernel, target.entry_partitions(world).map(|(esp, _)| esp))?
        {
            kernel.of_bootc = None;
        }
    }
    Ok(placed)
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
    for unadopted in &world.unadopted {
        warnings
            .push(format!("the deployment {} of bootc stays bootc's: {}", unadopted.id, unadopted.reason));
    }
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        if let Some(reason) = &boot.failed {
            warnings.push(format!("the boot partition {} is left out: {reason}", esp.name()));
        }
        for name in unclaimed(world, boot).keys() {
            warnings.push(format!("the entry {name} on {} has no record: it is left alone", esp.name()));
        }
    }
    warnings
}
