//! What is said of a deployment that waits to be finalised: that it need not wait, who wins in `/etc`, why it failed.
//!
//! What lives here: the plans that rewrite its record and nothing else, and what its `/etc` will be. What does not: the
//! finalisation (`finalize.rs`). Invariant: nothing that boots changes with any of these plans.

use sealstone_store::Control;

use super::{Plan, Step, order::keeping, planner::Planner};
use crate::{
    DeployError, DeploymentId, EtcPolicy, Record, State, Target,
    entries::menu,
    etc::{NewEtc, Renewal},
    target::World,
};

/// The most characters of a reason that are recorded.
const REASON_MAX: usize = 2_000;

/// What is asked of a deployment that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagedWish {
    /// Also of one that was only downloaded: it waits no longer.
    pub unlock: bool,
    /// Who wins in `/etc`, over what was said of the same paths when it was staged.
    pub etc: EtcPolicy,
}

impl StagedWish {
    /// That what was only downloaded waits no longer.
    #[must_use]
    pub const fn unlocked() -> Self {
        Self { unlock: true, etc: EtcPolicy { rules: Vec::new() } }
    }

    /// The deployment that this is about, if one waits.
    #[must_use]
    pub fn find<'a>(&self, records: &'a [Record]) -> Option<&'a Record> {
        let waits = |record: &&Record| record.state == State::Staged && (self.unlock || !record.locked);
        records.iter().find(waits)
    }
}

/// The steps after which the record of a staged deployment says what is wished. With strategies, the plan says what the merge
/// of `/etc` would come to now, and is refused while one of its conflicts is not decided.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is none of this id, and when its `/etc` cannot be computed.
pub fn plan_restage(
    target: &Target,
    id: &DeploymentId,
    wish: &StagedWish,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let record = planner.change(id)?;
    record.locked &= !wish.unlock;
    if !wish.etc.is_default() {
        record.etc = record.etc.with(&wish.etc);
        record.unfinalised = None;
        let staged = record.clone();
        let found = EtcOfStaged::compute(&planner, &staged)?;
        if found.is_written() {
            planner.plan.etc = found.etc.section;
        }
    }
    planner.finish()
}

/// The steps that note on the staged deployment why it could not be finalised, for `status` to tell after the reboot; none
/// where nothing waits, or that is known.
///
/// # Errors
/// When the target cannot be read.
pub fn plan_note_unfinalised(
    target: &Target,
    wish: &StagedWish,
    reason: &str,
) -> Result<Option<Plan>, DeployError> {
    let world = World::read(target)?;
    let Some(staged) = wish.find(&world.records) else { return Ok(None) };
    let unfinalised = Some(reason.chars().take(REASON_MAX).collect());
    let record = Record { unfinalised, ..staged.clone() };
    if record == *staged {
        return Ok(None);
    }
    let mut plan = Plan::new(&world);
    plan.deployments.kept = world.records.iter().map(|record| record.id).collect();
    let deployments = world.records.iter().filter_map(|record| keeping(&world, record)).collect();
    // D11: the record alone. What failed is not tried again on the way, so that this can be written whatever it was.
    plan.steps = vec![Step::Keep { deployments }, Step::WriteRecord { id: record.id, state: State::Staged }];
    plan.rewritten.push(record);
    Ok(Some(plan))
}

/// What the `/etc` of a staged deployment would be, if it were finalised now.
pub(super) struct EtcOfStaged {
    pub(super) etc: NewEtc,
    /// The deployment whose changes it gets.
    pub(super) from: Option<Record>,
    /// Its folder of state is not there.
    pub(super) makes_state: bool,
}

impl EtcOfStaged {
    pub(super) fn compute(planner: &Planner<'_>, staged: &Record) -> Result<Self, DeployError> {
        let from = planner.running.or_else(|| menu(&planner.after).first().map(|record| record.id));
        let from = from.and_then(|from| planner.record(&from)).cloned();
        let has_state = |record: &Record| planner.world.states.contains(&record.state_id().to_string());
        let makes_state = !has_state(staged);
        let is_same = |from: &Record| from.state_id() == staged.state_id();
        // What has the same folder of state has the same /etc.
        let from = from.filter(|from| has_state(from) && (makes_state || !is_same(from)));
        let (target, trees) = (planner.target, &planner.plan.trees);
        let image = trees.tree(&target.repository, &staged.image.id)?;
        let (overlays, policy) = (&staged.overlays, &staged.etc);
        let renewal = Renewal { image: &image, overlays, from: from.as_ref(), policy, trees };
        let etc = NewEtc::compute(target, &renewal, &Control::new())?;
        Ok(Self { etc, from, makes_state })
    }

    /// Whether finalising writes it.
    pub(super) const fn is_written(&self) -> bool {
        self.makes_state || self.from.is_some()
    }
}
