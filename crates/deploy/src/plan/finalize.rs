//! Planning to finalise what is staged: it gets the running system's `/etc`, and boots next.

use super::{Plan, StagedWish, Step, loader::WantedLoader, planner::Planner, staged::EtcOfStaged};
use crate::{DeployError, DeploymentId, Record, State, Target};

/// The steps that let the staged deployment boot next; if nothing is staged, or it is locked and `wish` does not unlock it,
/// only those that mend the menu. The changes to `/etc` are those of what runs, else of what boots by default.
///
/// # Errors
/// When the target cannot be read. Conflicts in `/etc` that nobody decided are in the plan, which is refused then.
pub fn plan_finalize(
    target: &Target,
    running: Option<&DeploymentId>,
    wish: &StagedWish,
) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, running)?;
    // A finalisation that was cut short may have come so far that only its entry is missing.
    let Some(staged) = wish.find(&planner.after) else { return planner.finish() };
    let staged = Record { etc: staged.etc.with(&wish.etc), ..staged.clone() };
    let id = staged.id;
    let found = EtcOfStaged::compute(&planner, &staged)?;
    let is_written = found.is_written();
    let EtcOfStaged { etc, from: base, makes_state } = found;
    let from = base.as_ref().map(|base| base.id);
    let policy = staged.etc.clone();
    if is_written {
        let (files, bytes) = etc.measure(target.sysroot.dir().space()?.block);
        planner.needed = (bytes, files);
        planner.plan.var = etc.var_section(planner.world.has_var, &staged.overlays, base.as_ref());
        planner.plan.etc = etc.section;
    }
    if makes_state {
        planner.make.push(Step::MakeState { id, from, policy });
    } else if let Some(from) = from {
        planner.make.push(Step::MergeEtc { id, from, policy });
    }
    let image = planner.plan.trees.tree(&target.repository, &staged.image.id)?;
    let of = (staged.image.id, &*image, &staged.image.manifest);
    let wanted = WantedLoader::of(target, of, (None, staged.boot_loader), &mut planner.plan.warnings)?;
    if let Some(wanted) = wanted {
        planner.want_loader(&wanted)?;
    }
    let record = planner.change(&id)?;
    *record = Record { state: State::Deployed, locked: false, unfinalised: None, ..staged };
    planner.plan.deployment = Some(record.clone());
    planner.put_first(&id)?;
    planner.finish()
}
