//! `store reconcile`: boot partitions and folders of state are again what the records say.

use sealstone::deploy::plan_reconcile;

use super::planned::{PlanFlags, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;
use crate::target::TargetArgs;

/// Bring the boot menu back to what the deployments' records say
///
/// Writes entries and kernels that are missing or wrong, on each boot partition, makes state folders that are lost anew, and
/// ends what was begun and not ended. Foreign entries and records that cannot be read are told and left alone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store reconcile --esp /boot
  store reconcile --sysroot /mnt --esp /mnt/boot --esp /mnt/boot2 --dry-run")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let plan = plan_reconcile(&target, args.target.running().as_ref())?;
    run_plan(&target, &plan, &args.flags, context, "reconciled")
}
