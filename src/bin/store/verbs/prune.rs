//! `store prune`: ends older deployments.

use sealstone::deploy::{DeploymentId, Plan, Target, find_deployment, plan_prune, plan_remove};

use super::planned::{PlannedArgs, RetentionFlags, now, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;

/// Remove older deployments
///
/// By number, age, versions and free space on the boot partitions, the oldest first. By these never goes: what runs, what boots
/// by default, what a rollback would boot, and what is pinned. Or one by its id, whatever its place: not what runs, what is
/// pinned, or the only one that boots. That is also the way to remove what is left of one whose record is lost. What only they
/// needed stays in the repository until a gc. Ends with 4 if --esp-free could not be had.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store prune --keep 3 --gc --esp /boot
  store prune --keep-days 90 --esp-free 200M --esp /boot --dry-run
  store prune de37 --sysroot /mnt --esp /mnt/boot")]
pub struct Args {
    /// Remove this one alone: a deployment's id or its beginning, or staged
    #[arg(conflicts_with_all = ["keep", "keep_days", "keep_versions", "esp_free"])]
    deployment: Option<String>,
    #[command(flatten)]
    retention: RetentionFlags,
    #[command(flatten)]
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let PlannedArgs { target: place, flags } = &args.planned;
    args.planned.make_writable();
    place.require_esp()?;
    let target = place.open(context)?;
    let plan = plan(args, &target, place.running().as_ref())?;
    let exit = run_plan(&target, &plan, flags, context, ("pruned", args.retention.gc))?;
    if !flags.dry_run {
        place.journal().tell_pruned(&plan);
    }
    Ok(if plan.missed_free.is_some() { Exit::NoSpace } else { exit })
}

fn plan(args: &Args, target: &Target, running: Option<&DeploymentId>) -> anyhow::Result<Plan> {
    let Some(text) = &args.deployment else {
        return Ok(plan_prune(target, &args.retention.policy(), running, now()?)?);
    };
    let id = find_deployment(target, text, running)?;
    Ok(plan_remove(target, &id, running)?)
}
