//! The deployments as an update finds them, read once: what waits, what runs, what boots by default, what was passed over.

use std::collections::BTreeSet;

use crate::{
    DeployError, DeploymentId, Fallback, Record, State, Target,
    plan::{has_entries_in_step, is_given_up},
    status::fallback_of,
    target::World,
};

/// Who is who among the deployments of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// All of them, first what boots by default; deployments of bootc are among them.
    pub(super) records: Vec<Record>,
    /// Those of bootc, which are not taken over yet.
    pub(super) adopted: BTreeSet<DeploymentId>,
    /// Whole, and waiting to be finalised.
    pub(super) staged: Option<Record>,
    /// Running, as the caller says.
    pub(super) running: Option<Record>,
    /// What boots by default.
    pub(super) default: Option<Record>,
    fallback: Option<Fallback>,
    /// What came after what runs and did not boot.
    pub(super) broken: Vec<Record>,
    /// Whether the boot entries are what the records say.
    pub(super) has_entries_in_step: bool,
}

impl Standing {
    /// Looks at the target. `running` is the deployment that runs, which only the caller can know.
    ///
    /// # Errors
    /// When the records or the boot partitions cannot be listed.
    pub fn read(target: &Target, running: Option<&DeploymentId>) -> Result<Self, DeployError> {
        let world = World::of_names(target)?;
        let fallback = fallback_of(&world, running);
        let has_entries_in_step = has_entries_in_step(target, &world);
        let World { records, adopted, .. } = world;
        let first = |wanted: &dyn Fn(&Record) -> bool| records.iter().find(|record| wanted(record)).cloned();
        let running = first(&|record| Some(&record.id) == running);
        let since = running.as_ref().map_or(0, |running| running.serial);
        let did_not_boot = |record: &&Record| {
            let is_whole = record.state == State::Deployed;
            is_whole && record.serial > since && record.broken.as_deref().is_some_and(is_given_up)
        };
        Ok(Self {
            broken: records.iter().filter(did_not_boot).cloned().collect(),
            staged: first(&|record| record.state == State::Staged),
            running,
            default: first(&|record| record.state == State::Deployed && record.broken.is_none()),
            records,
            adopted,
            fallback,
            has_entries_in_step,
        })
    }

    /// The deployment whose reference an update follows: the one that waits to be finalised, or to be booted, since a switch may
    /// have made it; else the one that runs, else the one that boots by default. `None` where nothing is deployed.
    #[must_use]
    pub fn tracked(&self) -> Option<&Record> {
        self.staged.as_ref().or(self.queued()).or(self.running.as_ref()).or(self.default.as_ref())
    }

    /// What is first in the menu while another one runs, unless that runs because this one did not boot.
    fn queued(&self) -> Option<&Record> {
        let running = self.running.as_ref()?;
        let did_not_boot =
            |id: &DeploymentId| self.fallback.as_ref().is_some_and(|fallback| fallback.deployment == *id);
        self.default.as_ref().filter(|default| default.id != running.id && !did_not_boot(&default.id))
    }

    /// The deployment that waits to be finalised.
    #[must_use]
    pub const fn staged(&self) -> Option<&Record> {
        self.staged.as_ref()
    }

    /// The deployment that runs, if it has a record.
    #[must_use]
    pub const fn running(&self) -> Option<&Record> {
        self.running.as_ref()
    }

    /// Whether something was cut off before its boot entries were written, or they were changed since.
    #[must_use]
    pub const fn is_out_of_step(&self) -> bool {
        !self.has_entries_in_step
    }

    /// What should run instead of what does, and its record.
    #[must_use]
    pub fn fallback(&self) -> Option<(&Fallback, &Record)> {
        let fallback = self.fallback.as_ref()?;
        Some((fallback, self.record(&fallback.deployment)?))
    }

    /// What boots once all that waits is finalised.
    pub(super) const fn next(&self) -> Option<&Record> {
        match &self.staged {
            Some(staged) => Some(staged),
            None => self.default.as_ref(),
        }
    }

    /// The record of a deployment.
    #[must_use]
    pub fn record(&self, id: &DeploymentId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == *id)
    }
}
