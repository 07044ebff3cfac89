//! `store rollback [DEPLOYMENT]`: what is second in the boot menu boots next, or the deployment that is named.

use sealstone::deploy::{DeploymentId, Target, find_deployment, plan_choose, plan_rollback};

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;

/// Boot the other deployment next, or the one that is named
///
/// Without a name, the second deployment of the menu becomes the first; nothing else moves, so doing it again leads back. With
/// one, that deployment becomes the first, and what runs the second. It boots with its own /etc, as it was left. What is staged
/// for the next shutdown is discarded. The running system goes on until it reboots.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store rollback --esp /boot
  store rollback de37 --esp /boot                  # any deployment of `store status`
  store rollback --sysroot /mnt --esp /mnt/boot --dry-run")]
pub struct Args {
    /// A deployment's id or its beginning, or default, rollback, running [default: rollback]
    deployment: Option<String>,
    #[command(flatten)]
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| {
        let Some(text) = &args.deployment else { return Ok(plan_rollback(target, running)?) };
        let id = find_deployment(target, text, running)?;
        Ok(plan_choose(target, &id, running)?)
    };
    args.planned.run_on_esp(context, "rolled back", plan, |journal, target, plan| {
        journal.tell_of(Event::RolledBack, target, None, "boots next, after a rollback", plan);
    })
}
