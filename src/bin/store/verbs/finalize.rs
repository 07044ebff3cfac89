//! `store finalize`: what is staged boots next.

use sealstone::deploy::{DeploymentId, Target, plan_finalize};

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;

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
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let done = finalize(args, context);
    if let Err(error) = &done
        && !args.planned.flags.dry_run
    {
        // At shutdown nobody reads the terminal.
        let message = format!("what is staged could not be finalised, the old system boots: {error:#}");
        args.planned.target.journal().tell(Event::FinaliseFailed, &message, None);
    }
    done
}

fn finalize(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan =
        |target: &Target, running: Option<&DeploymentId>| Ok(plan_finalize(target, running, args.unlock)?);
    args.planned.run_on_esp(context, "finalised", plan, |journal, target, plan| {
        if let Some(record) = &plan.deployment {
            journal.tell_of(Event::Deployed, target, Some(&record.id), "boots next", plan);
        }
    })
}
