//! `store bless`: what runs has booted well.

use anyhow::bail;
use sealstone::boot::{Efivarfs, EntryName, FoundEntry, LoaderVariables};
use sealstone::deploy::{DeploymentId, Target, plan_bless, status};
use sealstone::store::disk::RealDisk;

use super::planned::{PlanFlags, run as run_plan};
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;
use crate::target::{EFIVARFS, TargetArgs};

/// Say that what runs has booted well
///
/// The boot loader does not count its boots any more. What should have booted instead and was given up by the boot loader is
/// marked as broken: it leaves the menu, and updates do not take it again. Run by store-bless.service once boot-complete.target
/// is reached. Where nothing is counted there is nothing to do.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bless
  store bless --dry-run
  store bless --sysroot /mnt --esp /mnt/boot --entry bootc_debian-13-1+2-1.conf")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The boot entry that booted [default: what the kernel and the boot loader say]
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    #[command(flatten)]
    flags: PlanFlags,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if !args.flags.dry_run {
        args.target.make_writable();
    }
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let Some(running) = running(args, &target)? else {
        bail!(
            "what runs is no deployment of {}: say with --entry which one booted",
            args.target.sysroot().display()
        );
    };
    let plan = plan_bless(&target, &running)?;
    if !args.flags.dry_run
        && let Some(fallback) = status(&target, Some(&running))?.fallback
    {
        let (id, reason) = (fallback.deployment, fallback.reason);
        let message = format!("the deployment {id} should run, and did not boot: {reason}");
        args.target.journal().tell(Event::FellBack, &message, plan.record(&id));
    }
    run_plan(&target, &plan, &args.flags, context, ("blessed", false))
}

/// The deployment that booted: that of the entry, if one is given; else the kernel's word on it, else the boot loader's.
fn running(args: &Args, target: &Target) -> anyhow::Result<Option<DeploymentId>> {
    if let Some(name) = &args.entry {
        return Ok(of_entry(target, &EntryName::parse(name)?)?.map(|(id, _)| id));
    }
    let running = args.target.booted();
    if !args.target.is_of_the_booted_system() {
        return Ok(running);
    }
    let Ok(variables) = Efivarfs::open(&RealDisk::shared(), EFIVARFS) else { return Ok(running) };
    match of_loader(target, running, LoaderVariables::new(&variables)) {
        // The kernel's word is enough where the boot loader's cannot be had.
        Err(_) if running.is_some() => Ok(running),
        told => told,
    }
}

/// What the boot loader makes of the kernel's word: all where there is none, and which of several deployments of one image it
/// was that booted by a unified kernel image whose stub, older than systemd 254, does not say its file.
fn of_loader(
    target: &Target,
    running: Option<DeploymentId>,
    loader: LoaderVariables<'_>,
) -> anyhow::Result<Option<DeploymentId>> {
    if running.is_some() && loader.booted_uki()?.is_some() {
        return Ok(running);
    }
    let Some(name) = loader.counted_entry()?.or(loader.booted_entry()?) else { return Ok(running) };
    let booted = of_entry(target, &name)?
        .filter(|(id, is_uki)| running.is_none_or(|running| *is_uki && running.image() == id.image()));
    Ok(booted.map(|(id, _)| id).or(running))
}

/// The deployment of an entry, whatever was counted since, and whether it boots a unified kernel image.
fn of_entry(target: &Target, name: &EntryName) -> anyhow::Result<Option<(DeploymentId, bool)>> {
    let name = name.plain()?;
    for esp in &target.esps {
        for found in esp.entries()? {
            if let FoundEntry::Entry(other, entry) = found
                && other.plain()? == name
            {
                let id = entry.sealstone_id().and_then(|id| id.parse().ok());
                return Ok(id.map(|id| (id, entry.linux().is_none())));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
