//! `store rollback`: what is second in the boot menu boots next.

use sealstone::deploy::plan_rollback;

use super::planned::{PlanFlags, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;
use crate::target::TargetArgs;

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
    target: TargetArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let plan = plan_rollback(&target, args.target.running().as_ref())?;
    let exit = run_plan(&target, &plan, &args.flags, context, "rolled back")?;
    if !args.flags.dry_run {
        args.target.journal().tell_of(
            Event::RolledBack,
            &target,
            None,
            "boots next, after a rollback",
            &plan,
        );
    }
    Ok(exit)
}
