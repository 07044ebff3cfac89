//! `store prune`: ends older deployments.

use sealstone::deploy::{DeploymentId, Target, find_deployment, plan_prune, plan_remove};

use super::planned::{PlannedArgs, RetentionFlags, now};
use crate::context::Context;
use crate::exit::Exit;

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
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| {
        let Some(text) = &args.deployment else {
            return Ok(plan_prune(target, &args.retention.policy(), running, now()?)?);
        };
        let id = find_deployment(target, text, running)?;
        Ok(plan_remove(target, &id, running)?)
    };
    args.planned.run_on_esp(context, "pruned", plan, |journal, _, plan| journal.tell_pruned(plan))
}
