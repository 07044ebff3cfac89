//! `store finalize`: what is staged boots next.

use sealstone::deploy::{
    DeploymentId, Record, StagedWish, Target, apply, plan_finalize, plan_note_unfinalised,
};
use sealstone::store::Control;

use super::planned::PlannedArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure;
use crate::journal::Event;
use crate::machine::EtcArgs;

/// Let what is staged boot next
///
/// Gives the staged deployment the last changes to /etc, and its boot entry. Run at shutdown, by a unit; by hand at any time.
/// Without a staged deployment there is nothing to do, nor with one that was only downloaded, unless --unlock is given. If it
/// fails, the old system boots, and `store status` tells why.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store finalize --esp /boot
  store finalize --etc-strategy take-image         # after a conflict in /etc
  store finalize --unlock --esp /boot --dry-run")]
pub struct Args {
    /// Finalise also what was only downloaded
    #[arg(long)]
    unlock: bool,
    #[command(flatten)]
    etc: EtcArgs,
    #[command(flatten)]
    planned: PlannedArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let wish = StagedWish { unlock: args.unlock, etc: args.etc.policy() };
    let done = finalize(args, &wish, context);
    if let Err(error) = &done
        && !args.planned.flags.dry_run
    {
        // At shutdown nobody reads the terminal, and the journal may be gone.
        let reason = failure::message(error);
        let noted = note(args, &wish, &reason, context);
        let untold = if noted.is_ok() { "" } else { "; nor could that be recorded" };
        let message =
            format!("what is staged could not be finalised, the old system boots: {reason}{untold}");
        let waits = noted.ok().flatten();
        args.planned.target.journal().tell(Event::FinaliseFailed, &message, waits.as_ref());
    }
    done
}

fn finalize(args: &Args, wish: &StagedWish, context: &Context) -> anyhow::Result<Exit> {
    let plan = |target: &Target, running: Option<&DeploymentId>| Ok(plan_finalize(target, running, wish)?);
    args.planned.run_on_esp(context, "finalised", plan, |journal, target, plan| {
        if let Some(record) = &plan.deployment {
            journal.tell_of(Event::Deployed, target, Some(&record.id), "boots next", plan);
        }
    })
}

/// Writes into the staged deployment's record why it could not be finalised; gives the record.
fn note(args: &Args, wish: &StagedWish, reason: &str, context: &Context) -> anyhow::Result<Option<Record>> {
    let target = args.planned.target.open(context)?;
    if let Some(plan) = plan_note_unfinalised(&target, wish, reason)? {
        // Not cancelled by the signal that may have ended the finalisation.
        apply(&target, &plan, &Control::new())?;
    }
    Ok(wish.find(&target.sysroot.records()?.0).cloned())
}
