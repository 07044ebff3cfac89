//! `store reconcile`: boot partitions and folders of state are again what the records say.

use sealstone::deploy::{DeploymentId, Target, plan_reconcile};

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;

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
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| Ok(plan_reconcile(target, running)?);
    args.planned.run_on_esp(context, "reconciled", plan, |_, _, _| ())
}
