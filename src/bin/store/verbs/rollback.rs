//! `store rollback`: what is second in the boot menu boots next.

use sealstone::deploy::{DeploymentId, Target, plan_rollback};

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;

/// Boot the other deployment next
///
/// The second deployment of the menu becomes the first; nothing else moves, so doing it again leads back. It boots with its
/// own /etc. What is staged for the next shutdown is discarded. The running system goes on until it reboots.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store rollback --esp /boot
  store rollback --sysroot /mnt --esp /mnt/boot --dry-run")]
pub struct Args {
    #[command(flatten)]
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| Ok(plan_rollback(target, running)?);
    args.planned.run_on_esp(context, "rolled back", plan, |journal, target, plan| {
        journal.tell_of(Event::RolledBack, target, None, "boots next, after a rollback", plan);
    })
}
