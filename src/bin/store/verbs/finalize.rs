//! `store finalize`: what is staged boots next.

use sealstone::deploy::plan_finalize;

use super::planned::{PlanFlags, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;
use crate::target::TargetArgs;

/// Let what is staged boot next
///
/// Gives the staged deployment the last changes to /etc, and its boot entry. Run at shutdown, by a unit; by hand at any time.
/// Without a staged deployment there is nothing to do, nor with one that was only downloaded, unless --unlock is given.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store finalize --esp /boot
  store finalize --unlock --esp /boot --dry-run")]
pub struct Args {
    /// Finalise also what was only downloaded
    #[arg(long)]
    unlock: bool,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let done = finalize(args, context);
    if let Err(error) = &done
        && !args.flags.dry_run
    {
        // At shutdown nobody reads the terminal.
        let message = format!("what is staged could not be finalised, the old system boots: {error:#}");
        args.target.journal().tell(Event::FinaliseFailed, &message, None);
    }
    done
}

fn finalize(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let plan = plan_finalize(&target, args.target.running().as_ref(), args.unlock)?;
    let exit = run_plan(&target, &plan, &args.flags, context, "finalised")?;
    if let Some(record) = plan.deployment.as_ref().filter(|_| !args.flags.dry_run) {
        args.target.journal().tell_of(Event::Deployed, &target, Some(&record.id), "boots next", &plan);
    }
    Ok(exit)
}
