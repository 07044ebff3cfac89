//! `store status`: the deployments, and how they are.

use clap::ValueEnum;
use sealstone::deploy::bound::BoundCondition;
use sealstone::deploy::{
    BootcHost, DeploymentStatus, Health, ImageTrees, KargOrigin, Os, Place, Record, RecordedKarg, State,
    Status, add_losses, boot_once, measure_disk, status,
};
use sealstone::store::tree::Timestamp;

use super::status_remarks::remarks;
use crate::args::Reporting;
use crate::context::Context;
use crate::efivars::EfivarsArgs;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::file::time_text;
use crate::output::{Bytes, Facts, Table, Terminal, escape, write_document};
use crate::target::TargetArgs;

/// Show the deployments
///
/// In the order of the boot menu, with what each takes on the disk: OWN is what it alone needs, SHARED what other deployments
/// need as well. A broken or foreign entry never stops this: it is shown for what it is. Without --esp, the
/// boot partitions are those of the system that runs. What bootc deployed is shown too, and taken over by the first verb
/// that changes something. Ends with 1 if a deployment cannot boot, or lost files.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store status                                     # of the booted system
  store status --sysroot /mnt --esp /mnt/boot -v
  store status --json | jq '.deployments[] | select(.booted)'
  store status --format bootc | jq .status.booted.image")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    efivars: EfivarsArgs,
    /// How to print: text, json (as --json), or bootc (its org.containers.bootc/v1)
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Format::Text, hide_possible_values = true)]
    #[arg(hide_default_value = true, conflicts_with = "json")]
    format: Format,
    /// Show everything of each deployment
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// `--format`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Bootc,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target = args.target.open(context)?;
    let mut status = status(&target, args.target.running().as_ref())?;
    status.staged_by_bootc = args.target.staged_by_bootc();
    if let Some(variables) = args.efivars.find(&args.target) {
        // Firmware that does not answer is no reason to fail.
        status.once = boot_once(&target, &variables).unwrap_or_default();
    }
    if args.format == Format::Bootc {
        context.print(|out, _| {
            serde_json::to_writer_pretty(&mut *out, &BootcHost::of(&status))?;
            writeln!(out)
        })?;
        return Ok(Exit::Done);
    }
    let trees = ImageTrees::default();
    measure_disk(&target, &mut status, &trees)?;
    add_losses(&target, &mut status, &trees, context.control()?)?;
    context.print(|out, terminal| {
        if args.reporting.json || args.format == Format::Json {
            return write_document(out, "sealstone.status/1", &status);
        }
        if status.deployments.is_empty() {
            writeln!(out, "nothing is deployed here")?;
        }
        deployments(&status, terminal).write(out, terminal)?;
        if args.verbose {
            for deployment in &status.deployments {
                writeln!(out)?;
                facts(deployment).write(out, terminal)?;
            }
            writeln!(out)?;
        }
        for line in remarks(&status, terminal) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })?;
    let all_good = status.deployments.iter().all(|deployment| deployment.health.is_good());
    Ok(if all_good { Exit::Done } else { Exit::Failed })
}

fn deployments(status: &Status, terminal: Terminal) -> Table {
    let mut table = Table::new()
        .left("")
        .left("IMAGE")
        .left("BOOTS")
        .elastic()
        .left("DEPLOYED")
        .left("KERNEL")
        .right("OWN")
        .right("SHARED")
        .left("DEPLOYMENT")
        .left("HEALTH");
    for deployment in &status.deployments {
        let record = &deployment.record;
        let disk = deployment.disk.unwrap_or_default();
        table.row([
            place(deployment),
            escape(record.image.reference.as_bytes()),
            title(record),
            deployed(record).unwrap_or_default(),
            escape(record.kernel.version.as_bytes()),
            Bytes(disk.own_bytes).to_string(),
            Bytes(disk.shared_bytes).to_string(),
            short_id(&record.id, false),
            match deployment.health {
                Health::Good => terminal.good("good"),
                Health::Broken(_) => terminal.bad("broken"),
            },
        ]);
    }
    table
}

/// What boots, with its version where the title lacks it.
fn title(record: &Record) -> String {
    let Os { title, version, .. } = &record.os;
    let version = version.as_deref().filter(|version| !title.contains(version));
    let text = version.map_or_else(|| title.clone(), |version| format!("{title} {version}"));
    escape(text.as_bytes())
}

fn place(deployment: &DeploymentStatus) -> String {
    let record = &deployment.record;
    let place = match (deployment.booted, deployment.place, record.state) {
        (true, Some(Place::Default), _) => "running, next",
        (true, ..) => "running",
        (_, Some(Place::Default), _) => "next",
        (_, Some(Place::Rollback), _) => "rollback",
        (_, _, State::Making) => "unfinished",
        (_, _, State::Staged) if record.locked => "downloaded",
        (_, _, State::Staged) => "staged",
        _ => "",
    };
    let marks = [(!place.is_empty(), place), (record.pinned, "pinned"), (deployment.adopted, "of bootc")];
    let words: Vec<&str> = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    words.join(", ")
}

fn facts(deployment: &DeploymentStatus) -> Facts {
    let record = &deployment.record;
    let overlays: Vec<&str> = record.overlays.iter().map(|overlay| overlay.name.as_str()).collect();
    let mut facts = Facts::new();
    facts
        .add("deployment", record.id)
        .add("image", escape(record.image.reference.as_bytes()))
        .add_some("version", record.os.version.as_ref().map(|text| escape(text.as_bytes())))
        .add_some("deployed", deployed(record))
        .add("manifest", record.image.manifest)
        .add_some("platform", deployment.architecture.as_ref().map(|text| escape(text.as_bytes())))
        .add_some("created", deployment.created.as_ref().map(|text| escape(text.as_bytes())))
        .add("kernel", escape(record.kernel.version.as_bytes()))
        .add("arguments", arguments(&record.kargs))
        .add_some("deleted", list(&record.karg_deletes))
        .add_some("overlays", list(&overlays));
    for bound in &record.bound {
        let size = bound.bytes.map_or_else(|| "of unknown size".to_owned(), |bytes| Bytes(bytes).to_string());
        facts.add("bound", escape(format!("{} ({}), {size}", bound.reference, bound.manifest).as_bytes()));
    }
    if let Some(BoundCondition::Complete) = deployment.bound {
        facts.add("bound", "complete");
    }
    if let Some(disk) = deployment.disk {
        let (own, shared, state) = (Bytes(disk.own_bytes), Bytes(disk.shared_bytes), Bytes(disk.state_bytes));
        let store = match disk.image_store_bytes {
            0 => String::new(),
            bytes => format!(", {} in its image store", Bytes(bytes)),
        };
        facts.add("disk", format!("{own} of its own, {shared} shared, {state} in /etc{store}"));
    }
    facts
}

/// The kernel arguments, each run of those from one place with that behind it.
fn arguments(kargs: &[RecordedKarg]) -> String {
    let runs = kargs.chunk_by(|one, next| one.origin == next.origin).map(|run| {
        let words: Vec<&str> = run.iter().map(|recorded| recorded.karg.as_str()).collect();
        let origin = match run.first().map(|recorded| &recorded.origin) {
            Some(KargOrigin::Image { file }) => format!(" (image, {file})"),
            Some(KargOrigin::Install { file }) => format!(" (installed by {file})"),
            Some(KargOrigin::Source { name }) => format!(" (set by {name})"),
            _ => " (given)".to_owned(),
        };
        words.join(" ") + &origin
    });
    escape(runs.collect::<Vec<_>>().join(", ").as_bytes())
}

/// When it was deployed; of what bootc made that is not known.
fn deployed(record: &Record) -> Option<String> {
    (record.time > 0).then(|| time_text(Timestamp { sec: record.time, nsec: 0 }))
}

fn list(words: &[impl AsRef<str>]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    (!words.is_empty()).then(|| escape(words.join(", ").as_bytes()))
}
