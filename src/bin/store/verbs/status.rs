//! `store status`: the deployments, and how they are.

use sealstone::deploy::{DeploymentStatus, EspStatus, Health, Place, State, Status, status};

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Table, Terminal, escape, write_document};
use crate::target::TargetArgs;

/// Show the deployments
///
/// In the order of the boot menu. A broken or foreign entry never stops this: it is shown for what it is. Without --esp,
/// boot partitions are not looked at. Ends with 1 if a deployment cannot boot.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store status                                     # of the booted system
  store status --sysroot /mnt --esp /mnt/boot
  store status --json | jq '.deployments[] | select(.booted)'")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target = args.target.open(context)?;
    let status = status(&target, args.target.running().as_ref())?;
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.status/1", &status);
        }
        if status.deployments.is_empty() {
            writeln!(out, "nothing is deployed here")?;
        }
        deployments(&status, terminal).write(out, terminal)?;
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
        .left("KERNEL")
        .left("DEPLOYMENT")
        .left("HEALTH");
    for deployment in &status.deployments {
        let record = &deployment.record;
        table.row([
            place(deployment).to_owned(),
            escape(record.image.reference.as_bytes()),
            escape(record.os.title.as_bytes()),
            escape(record.kernel.version.as_bytes()),
            short_id(&record.id, false),
            match deployment.health {
                Health::Good => terminal.good("good"),
                Health::Broken(_) => terminal.bad("broken"),
            },
        ]);
    }
    table
}

fn place(deployment: &DeploymentStatus) -> &'static str {
    match (deployment.booted, deployment.place, deployment.record.state) {
        (true, Some(Place::Default), _) => "running, next",
        (true, ..) => "running",
        (_, Some(Place::Default), _) => "next",
        (_, Some(Place::Rollback), _) => "rollback",
        (_, _, State::Making) => "unfinished",
        (_, _, State::Staged) => "staged",
        _ => "",
    }
}

/// What is wrong, what is foreign, and how full the boot partitions are.
fn remarks(status: &Status, terminal: Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    for deployment in &status.deployments {
        if let Health::Broken(reasons) = &deployment.health {
            let id = short_id(&deployment.record.id, false);
            lines.extend(
                reasons
                    .iter()
                    .map(|reason| format!("{} {id}: {}", terminal.bad("broken:"), escape(reason.as_bytes()))),
            );
        }
    }
    for broken in &status.broken_records {
        let text = format!("record {}: {}", escape(broken.file.as_bytes()), escape(broken.reason.as_bytes()));
        lines.push(format!("{} {text}", terminal.warning("unreadable:")));
    }
    for state in &status.foreign_states {
        lines.push(terminal.dim(&format!("foreign state: {}", escape(state.as_bytes()))));
    }
    for esp in &status.esps {
        lines.extend(esp_remarks(esp, terminal));
    }
    lines
}

fn esp_remarks(esp: &EspStatus, terminal: Terminal) -> Vec<String> {
    let mut lines =
        vec![terminal.dim(&format!("{}: {} free", escape(esp.place.as_bytes()), Bytes(esp.free)))];
    for entry in &esp.entries {
        if let Some(wrong) = entry.wrong {
            lines.push(format!(
                "{} entry {}: {wrong}",
                terminal.warning("entry:"),
                escape(entry.name.as_bytes())
            ));
        }
    }
    for (file, title) in &esp.foreign {
        lines.push(terminal.dim(&format!(
            "foreign entry: {} ({})",
            escape(file.as_bytes()),
            escape(title.as_bytes())
        )));
    }
    lines
}
