//! `store boot-next`: boots another deployment once.

#![allow(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use anyhow::bail;
use sealstone::deploy::{BootOnce, BootOncePlan, apply_boot_once, find_deployment, plan_boot_once};
use serde::Serialize;

use super::planned::PlanFlags;
use crate::context::Context;
use crate::efivars::EfivarsArgs;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{escape, write_document};
use crate::target::TargetArgs;

/// Boot another deployment once, at the next boot
///
/// Tells systemd-boot by an EFI variable (LoaderEntryOneShot), as `bootctl set-oneshot` does. The boot menu stays as it is: the boot
/// after that takes what is first in it again. Without a deployment it says what is queued. `store rollback` is for good.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store boot-next rollback && systemctl reboot     # try the old system, and come back
  store boot-next de37 --dry-run
  store boot-next                                  # what is queued?
  store boot-next --clear")]
pub struct Args {
    /// A deployment's id or its beginning, or default, rollback, running
    deployment: Option<String>,
    /// Take back what is queued
    #[arg(long, conflicts_with = "deployment")]
    clear: bool,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    efivars: EfivarsArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

/// The answer, `sealstone.boot-next/1`.
#[derive(Serialize)]
struct Document<'a> {
    next: Option<&'a BootOnce>,
    before: Option<&'a BootOnce>,
    changed: bool,
    dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target = args.target.open(context)?;
    let Some(variables) = args.efivars.open(&args.target)? else {
        bail!("what boots next is the running machine's: --efivars names the variables of another firmware");
    };
    let plan = if let Some(name) = &args.deployment {
        let id = find_deployment(&target, name, args.target.running().as_ref())?;
        plan_boot_once(&target, &variables, Some(&id))?
    } else {
        let plan = plan_boot_once(&target, &variables, None)?;
        if args.clear { plan } else { BootOncePlan { after: plan.before.clone(), ..plan } }
    };
    if !args.flags.dry_run {
        apply_boot_once(&variables, &plan)?;
    }
    let BootOncePlan { before, after } = &plan;
    let changed = !plan.is_empty();
    context.print(|out, _| {
        if args.flags.reporting.json {
            let dry_run = args.flags.dry_run;
            let document = Document { next: after.as_ref(), before: before.as_ref(), changed, dry_run };
            return write_document(out, "sealstone.boot-next/1", &document);
        }
        let would = if args.flags.dry_run { "would boot" } else { "boots" };
        match (after, before) {
            (Some(once), _) => writeln!(out, "{} {would} at the next boot, and at no other", name(once)),
            (None, Some(before)) if changed => {
                writeln!(out, "{} {would} no more: the next boot takes the menu's first", name(before))
            }
            (None, _) => writeln!(out, "nothing is queued: the next boot takes the menu's first"),
        }
    })?;
    Ok(Exit::Done)
}

/// What is queued, for people.
pub fn name(once: &BootOnce) -> String {
    let entry = escape(once.entry.as_bytes());
    match &once.deployment {
        Some(id) => format!("{} ({entry})", short_id(id, false)),
        None => format!("{entry}, which is no deployment's entry,"),
    }
}
