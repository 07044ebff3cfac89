//! Planning to finalise what is staged: it gets the running system's `/etc`, and boots next.

use sealstone_store::Control;

use super::{Plan, Step, loader::WantedLoader, planner::Planner};
use crate::{
    DeployError, DeploymentId, Record, State, Target,
    entries::menu,
    etc::{NewEtc, Renewal},
};

/// The steps that let the staged deployment boot next; if nothing is staged, or it is locked and `unlock` is not given, only
/// those that mend the menu. The changes to `/etc` are those of what runs, else of what boots by default.
///
/// # Errors
/// When the target cannot be read, and for conflicts in `/etc` that the deployment's policy does not decide.
pub fn plan_finalize(
    target: &Target,
    running: Option<&DeploymentId>,
    unlock: bool,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    let is_ready = |locked: bool| unlock || !locked;
    let staged = planner.after.iter().find(|record| record.state == State::Staged && is_ready(record.locked));
    // A finalisation that was cut short may have come so far that only its entry is missing.
    let Some(staged) = staged.cloned() else { return planner.finish() };
    let from = planner.running.or_else(|| menu(&planner.after).first().map(|record| record.id));
    let id = staged.id;
    let base = from.and_then(|from| planner.record(&from)).cloned();
    let has_state = |record: &Record| planner.world.states.contains(&record.state_id().to_string());
    let (makes_state, is_same) = (!has_state(&staged), |base: &Record| base.state_id() == staged.state_id());
    // What has the same folder of state has the same /etc.
    let base = base.filter(|base| has_state(base) && (makes_state || !is_same(base)));
    let from = base.as_ref().map(|base| base.id);
    let trees = &planner.plan.trees;
    let image = trees.tree(&target.repository, &staged.image.id)?;
    let (overlays, policy) = (&staged.overlays, &staged.etc);
    let renewal = Renewal { image: &image, overlays, from: base.as_ref(), policy, trees };
    let etc = NewEtc::compute(target, &renewal, &Control::new())?;
    if makes_state || from.is_some() {
        let (files, bytes) = etc.measure(target.sysroot.dir().space()?.block);
        planner.needed = (bytes, files);
        planner.plan.var = etc.var_section(planner.world.has_var, &staged.overlays, base.as_ref());
        planner.plan.etc = etc.section;
    }
    if makes_state {
        planner.make.push(Step::MakeState { id, from, policy: staged.etc });
    } else if let Some(from) = from {
        planner.make.push(Step::MergeEtc { id, from, policy: staged.etc });
    }
    let of = (staged.image.id, &*image, &staged.image.manifest);
    let wanted = WantedLoader::of(target, of, (None, staged.boot_loader), &mut planner.plan.warnings)?;
    if let Some(wanted) = wanted {
        planner.want_loader(&wanted)?;
    }
    let record = planner.change(&id)?;
    record.state = State::Deployed;
    record.locked = false;
    planner.plan.deployment = Some(record.clone());
    planner.put_first(&id)?;
    planner.finish()
}
