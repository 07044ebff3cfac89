//! The deployments that an update is measured against: what waits, what runs, what boots by default.

use crate::{DeployError, DeploymentId, Record, State, Target, target::World};

/// Who is who among the deployments.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Whole, and waiting to be finalised.
    pub(super) staged: Option<Record>,
    /// Running, as the caller says.
    pub(super) running: Option<Record>,
    /// What boots by default.
    pub(super) default: Option<Record>,
}

impl Standing {
    pub(super) fn read(target: &Target, running: Option<&DeploymentId>) -> Result<Self, DeployError> {
        // The first of the records is the first of the menu; deployments of bootc are among them.
        let records = World::read(target)?.records;
        let first = |wanted: &dyn Fn(&Record) -> bool| records.iter().find(|record| wanted(record)).cloned();
        Ok(Self {
            staged: first(&|record| record.state == State::Staged),
            running: first(&|record| Some(&record.id) == running),
            default: first(&|record| record.state == State::Deployed && record.broken.is_none()),
        })
    }

    /// What boots once all that waits is finalised.
    pub(super) const fn next(&self) -> Option<&Record> {
        match &self.staged {
            Some(staged) => Some(staged),
            None => self.default.as_ref(),
        }
    }

    /// The one whose reference is followed: what waits, since a switch may have made it, then what runs.
    fn tracked(self) -> Option<Record> {
        self.staged.or(self.running).or(self.default)
    }
}

/// The deployment whose reference an update follows: the one that waits to be finalised, else the one that runs, else the
/// one that boots by default. `None` where nothing is deployed.
///
/// # Errors
/// When the records cannot be listed.
pub fn tracked(target: &Target, running: Option<&DeploymentId>) -> Result<Option<Record>, DeployError> {
    Ok(Standing::read(target, running)?.tracked())
}
