//! `store pin` and `store unpin`: deployments that stay whatever retention says.

use sealstone::deploy::{DeploymentId, Target, find_deployment, plan_pin};

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;

/// Keep a deployment whatever retention says
///
/// A pinned deployment stays in the boot menu, with all that it needs, until it is unpinned.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store pin running --esp /boot
  store pin de37 --sysroot /mnt --esp /mnt/boot --dry-run")]
pub struct Pin {
    #[command(flatten)]
    args: Args,
}

/// Let retention take a deployment again
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store unpin de37 --esp /boot
  store unpin rollback --sysroot /mnt --esp /mnt/boot --json")]
pub struct Unpin {
    #[command(flatten)]
    args: Args,
}

#[derive(clap::Args)]
struct Args {
    /// A deployment's id or its beginning, or default, rollback, running, staged
    deployment: String,
    #[command(flatten)]
    planned: PlannedArgs,
}

pub fn pin(args: &Pin, context: &Context) -> anyhow::Result<Exit> {
    set(&args.args, true, context)
}

pub fn unpin(args: &Unpin, context: &Context) -> anyhow::Result<Exit> {
    set(&args.args, false, context)
}

fn set(args: &Args, pinned: bool, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| {
        let id = find_deployment(target, &args.deployment, running)?;
        Ok(plan_pin(target, &id, pinned, running)?)
    };
    args.planned.run(context, if pinned { "pinned" } else { "unpinned" }, plan, |_, _, _| ())
}
