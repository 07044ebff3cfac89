//! `store prune`: ends older deployments.

use sealstone::deploy::{find_deployment, plan_prune, plan_remove};

use super::planned::{PlanFlags, RetentionFlags, now, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;
use crate::target::TargetArgs;

/// Remove older deployments
///
/// By number, age, versions and free space on the boot partitions, the oldest first; or one by its id. Never goes: what
/// runs, what boots by default, what a rollback would boot, and what is pinned. Images go with the next `store gc`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store prune --keep 3 --esp /boot
  store prune --keep-days 90 --esp-free 200M --esp /boot --dry-run
  store prune de37 --sysroot /mnt --esp /mnt/boot")]
pub struct Args {
    /// Remove this one alone: a deployment's id or its beginning, or staged
    #[arg(conflicts_with_all = ["keep", "keep_days", "keep_versions", "esp_free"])]
    deployment: Option<String>,
    #[command(flatten)]
    retention: RetentionFlags,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let running = args.target.running();
    let plan = if let Some(text) = &args.deployment {
        let id = find_deployment(&target, text, running.as_ref())?;
        plan_remove(&target, &id, running.as_ref())?
    } else {
        plan_prune(&target, &args.retention.policy(), running.as_ref(), now()?)?
    };
    let exit = run_plan(&target, &plan, &args.flags, context, "pruned")?;
    if !args.flags.dry_run {
        args.target.journal().tell_pruned(&plan);
    }
    Ok(exit)
}
