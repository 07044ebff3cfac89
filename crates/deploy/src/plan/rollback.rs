//! Planning a rollback: what is second in the menu comes first, or any other deployment that is kept.

use sealstone_boot::menu_order;
use sealstone_store::Control;

use super::{
    Plan,
    bless::{is_given_up, spent},
    planner::Planner,
};
use crate::{DeployError, DeploymentId, State, Target, entries::menu, etc::changes_since, target::BootWorld};

/// The steps that let the second deployment of the menu boot next. What is staged goes. Doing it twice leads back.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is no other deployment that boots.
pub fn plan_rollback(target: &Target, running: Option<&DeploymentId>) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let first = menu(&planner.after).first().map(|record| record.id);
    let is_begun = first.is_some_and(|first| planner.world.esps.iter().any(|boot| is_begun(boot, &first)));
    let Some(other) = menu(&planner.after).get(1).map(|record| record.id) else {
        return Err(sealstone_store::Error::Missing { what: "deployment to roll back to".into() }.into());
    };
    discard_staged(&mut planner);
    tell_changes(target, &mut planner);
    // One that was cut short is ended, not turned back.
    if !is_begun {
        let highest = planner.highest().1;
        planner.change(&other)?.order = highest + 1;
    }
    planner.finish()
}

/// The steps that let this deployment boot next, with its own `/etc` as it is, and what runs after it. What is staged goes. One
/// that the boot loader gave up is tried again, since it is asked for; doing it twice changes nothing more.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is none of this id, [`DeployError::Invalid`] when it is not whole.
pub fn plan_choose(
    target: &Target,
    id: &DeploymentId,
    running: Option<&DeploymentId>,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let is_spent = spent(&planner.world).iter().any(|(spent, _)| spent == id);
    let unfit = |reason: &str| DeployError::Invalid {
        what: "deployment to roll back to",
        text: id.to_string(),
        reason: reason.to_owned(),
    };
    let record = planner.change(id)?;
    match (record.state, &record.broken) {
        (State::Deployed, None) => {}
        (State::Deployed, Some(reason)) if is_given_up(reason) => record.broken = None,
        (State::Deployed, Some(reason)) => return Err(unfit(reason)),
        (State::Staged, _) => {
            return Err(unfit("it is staged: it boots next by itself, once it is finalised"));
        }
        (State::Making, _) => return Err(unfit("it was begun, and not ended")),
    }
    // With no try left, the boot loader would pass over it; whoever asks for it does not count.
    if is_spent {
        record.tries = None;
    }
    discard_staged(&mut planner);
    tell_changes(target, &mut planner);
    planner.put_first(id)?;
    planner.finish()
}

fn discard_staged(planner: &mut Planner<'_>) {
    let staged = planner.after.iter().filter(|record| record.state == State::Staged).map(|record| record.id);
    for id in staged.collect::<Vec<_>>() {
        planner.remove(&id, "a rollback discards what is staged");
    }
}

/// The other deployment has its own `/etc`: what was changed in the one that is left stays behind, and is told.
fn tell_changes(target: &Target, planner: &mut Planner<'_>) {
    let left = planner.running.or_else(|| menu(&planner.after).first().map(|record| record.id));
    let Some(left) = left.and_then(|left| planner.record(&left)).cloned() else { return };
    match changes_since(target, &left, &Control::new()) {
        Ok(changes) => planner.plan.etc.merge.changes = changes,
        // A rollback is what helps when something is lost.
        Err(error) => {
            let text = format!("what was changed in the /etc of {} is unknown: {error}", left.id);
            planner.plan.warnings.push(text);
        }
    }
}

/// Whether a boot partition still boots another deployment than the one that shall be first, though it has an entry: its
/// rollback was begun. A deploy that was cut short has left none.
fn is_begun(boot: &BootWorld, first: &DeploymentId) -> bool {
    let first = first.to_string();
    let bootable = boot.ours.iter().filter(|(_, entry)| entry.is_bootable());
    let boots =
        bootable.clone().min_by(|a, b| menu_order(*a, *b)).and_then(|(_, entry)| entry.sealstone_id());
    let has_entry = bootable.clone().any(|(_, entry)| entry.sealstone_id() == Some(&first));
    has_entry && boots.is_some_and(|boots| boots != first)
}
