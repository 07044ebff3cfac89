//! `store deploy IMAGE`: makes an image bootable on a sysroot.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::bail;
use sealstone::boot::Karg;
use sealstone::deploy::{
    Applied, DeployRequest, DeploymentStatus, EtcConflict, Finalise, Plan, Predecessor, Pruned, State,
    Target, apply, keep_place, plan_deploy, status,
};
use sealstone::import::ImportOptions;
use sealstone::import::catalogue::{Catalogue, NamedImage};
use serde::Serialize;

use super::freed::{self, Freed};
use super::planned::{PlanFlags, RetentionFlags, failed_partitions, now, show, warnings};
use super::update_show::removed;
use crate::boot_flags::BootFlags;
use crate::bound;
use crate::context::Context;
use crate::etc;
use crate::exit::Exit;
use crate::image::short_id;
use crate::journal::Event;
use crate::machine::MachineArgs;
use crate::output::{Bytes, Elapsed, Facts, Terminal, escape, plural, printable, write_document};
use crate::registry::RegistryArgs;
use crate::target::TargetArgs;

/// Make an image bootable: state, kernel, boot entry
///
/// The first deployment of a sysroot is an installation, each later one an update: the old one stays in the menu and
/// bootable. The order of writes is such that a cut at any point leaves a menu that boots; a rerun finishes. An update takes
/// over this machine's kernel arguments, overlays and changes to /etc from what runs, else from what boots by default; /var is
/// made once. Older deployments go as the flags say, never one that runs, that a rollback would boot, or that is pinned.
/// Owners in /etc and /var need root.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store deploy os:1 --sysroot /mnt --esp /mnt/boot
  store deploy os:1 --sysroot /mnt --esp /mnt/boot --hostname web-1 --authorized-keys keys.pub --overlay site/
  store deploy os:2 --sysroot /mnt --esp /mnt/boot --karg console=ttyS0 --keep 3
  store deploy os:2 --sysroot /mnt --esp /mnt/boot --etc-strategy /etc/ssh=take-image
  store deploy os:2 --sysroot /mnt --esp /mnt/boot --dry-run --json")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    #[command(flatten)]
    target: TargetArgs,
    /// A kernel argument; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg: Vec<Karg>,
    /// Begin as an installation: take over neither kernel arguments nor overlays nor changes to /etc
    #[arg(long)]
    fresh: bool,
    /// Let it boot only after the running system's shutdown, which gives it the last changes to /etc
    #[arg(long)]
    stage: bool,
    /// A kernel argument to take away, the image's too, for good: KEY=VALUE that one, KEY all of the key
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg_delete: Vec<Karg>,
    /// Take bound images as a deployment here has them, without asking where their tags lead today
    #[arg(long)]
    bound_as_recorded: bool,
    #[command(flatten)]
    boot: BootFlags,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    retention: RetentionFlags,
    #[command(flatten)]
    flags: PlanFlags,
}

/// The answer, `sealstone.deploy/1`.
#[derive(Serialize)]
struct Document<'a> {
    deployment: &'a DeploymentStatus,
    removed: &'a [Pruned],
    conflicts: &'a [EtcConflict],
    freed: Option<Freed>,
    steps: usize,
    files: u64,
    bytes: u64,
    without_owner: u64,
    without_attributes: u64,
    without_node: u64,
    seconds: f64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if !args.flags.dry_run {
        args.target.make_writable();
    }
    args.target.require_esp()?;
    let target = args.target.open(context)?;
    let Some(stored) = Catalogue::read(&target.repository)?.find(&args.image)?.stored else {
        bail!("{} has no name any more: import it again", escape(args.image.as_bytes()));
    };
    let mut request = request(args, &stored, &target)?;
    args.boot.add_to(&mut request);
    let settings = (&args.registry, &ImportOptions::default());
    // Held against gc until the plan was applied.
    let how = (args.flags.dry_run, args.bound_as_recorded);
    let held = bound::bind_known(&mut request, &target, settings, how, context)?;
    args.machine.add_to(&mut request, &target, args.flags.dry_run, context)?;
    let plan = plan_deploy(&target, &request)?;
    if args.flags.dry_run {
        return show(&plan, args.flags.reporting.json, context);
    }
    let start = Instant::now();
    let done = apply(&target, &plan, context.control()?)?;
    drop(held);
    args.boot.register(&target, &plan, context)?;
    tell(args, &target, &plan);
    let (freed, failed) = freed::collect_or_warn(args.retention.gc, &target.repository, &plan, context)?;
    let elapsed = start.elapsed();
    let status = status(&target, args.target.running().as_ref())?;
    let wanted = plan.deployment.as_ref().map(|record| record.id);
    let deployment = status.deployments.iter().find(|deployment| Some(deployment.record.id) == wanted);
    let Some(deployment) = deployment else { bail!("the deployment was removed while it was being made") };
    context.print(|out, terminal| {
        if args.flags.reporting.json {
            return write_document(
                out,
                "sealstone.deploy/1",
                &document(deployment, &plan, (&done, freed), elapsed.as_secs_f64()),
            );
        }
        let called =
            if stored.is_kept_by_deployment() { &deployment.record.image.reference } else { &stored.name };
        let name = terminal.bold(&escape(called.as_bytes()));
        let summary = match done.steps as u64 {
            0 => "is deployed already, nothing to do".to_owned(),
            steps => {
                let done = if deployment.record.state == State::Staged { "staged" } else { "deployed" };
                format!("{done} in {}, {}", Elapsed(elapsed), plural(steps, "step"))
            }
        };
        writeln!(out, "{name} {summary}")?;
        facts(deployment, &done).write(out, terminal)?;
        removed(&plan, out)?;
        freed::show(freed, &plan, out, terminal)?;
        etc::conflicts(&plan, out, terminal)?;
        failed_partitions(&done, out, terminal)?;
        others(status.deployments.len() as u64 - 1, out, terminal)?;
        warnings(&plan, out, terminal)?;
        let mark = terminal.warning("warning:");
        failed.map_or(Ok(()), |failed| writeln!(out, "{mark} {}", printable(&failed)))
    })?;
    Ok(Exit::Done)
}

fn others(count: u64, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let stay = if count == 1 { "stays" } else { "stay" };
    let older = plural(count, "older deployment");
    writeln!(out, "{}", terminal.dim(&format!("  {older} in the menu {stay} bootable")))
}

/// What the flags ask for.
fn request(args: &Args, stored: &NamedImage, target: &Target) -> anyhow::Result<DeployRequest> {
    let of_image = DeployRequest::of(&target.repository, stored, args.karg.clone(), now()?)?;
    let mut request = DeployRequest {
        predecessor: if args.fresh { Predecessor::None } else { Predecessor::Current },
        running: args.target.running(),
        finalise: if args.stage { Finalise::AtShutdown { locked: false } } else { Finalise::Now },
        retention: args.retention.policy(),
        karg_deletes: args.karg_delete.iter().map(ToString::to_string).collect(),
        ..of_image
    };
    // Who names an image by its content means no place: it goes on to follow the one that its deployment does.
    if stored.name != args.image || stored.is_kept_by_deployment() {
        keep_place(target, &mut request)?;
    }
    Ok(request)
}

/// Tells the journal, if something was done.
fn tell(args: &Args, target: &Target, plan: &Plan) {
    let Some(record) = plan.deployment.as_ref().filter(|_| !plan.is_empty()) else { return };
    let (event, what) = match record.state {
        State::Staged => (Event::Staged, "is staged, and boots after the next shutdown"),
        _ => (Event::Deployed, "boots next"),
    };
    args.target.journal().tell_of(event, target, Some(&record.id), what, plan);
}

fn facts(deployment: &DeploymentStatus, done: &Applied) -> Facts {
    let record = &deployment.record;
    let mut facts = Facts::new();
    facts
        .add("deployment", record.id)
        .add(
            "boots",
            format!(
                "{}, kernel {}",
                escape(record.os.title.as_bytes()),
                escape(record.kernel.version.as_bytes())
            ),
        )
        .add("state", format!("state/deploy/{}", record.id));
    for bound in &record.bound {
        facts.add(
            "bound",
            escape(format!("{} ({})", bound.reference, short_id(&bound.manifest, false)).as_bytes()),
        );
    }
    let populated = &done.populated;
    if populated.files > 0 {
        facts.add(
            "written",
            format!("{} in /etc and /var, {}", plural(populated.files, "file"), Bytes(populated.bytes)),
        );
    }
    if !populated.is_complete() {
        let left = format!(
            "{} without owner, {} without attributes, {} without node: run as root to set them",
            populated.without_owner, populated.without_attributes, populated.without_node
        );
        facts.add("not root", left);
    }
    facts
}

fn document<'a>(
    deployment: &'a DeploymentStatus,
    plan: &'a Plan,
    (done, freed): (&Applied, Option<Freed>),
    seconds: f64,
) -> Document<'a> {
    let populated = &done.populated;
    Document {
        deployment,
        removed: &plan.deployments.pruned,
        conflicts: &plan.etc.merge.conflicts,
        freed,
        steps: done.steps,
        files: populated.files,
        bytes: populated.bytes,
        without_owner: populated.without_owner,
        without_attributes: populated.without_attributes,
        without_node: populated.without_node,
        seconds,
    }
}
