//! `store deploy IMAGE`: makes an image bootable on a sysroot.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use sealstone::boot::Karg;
use sealstone::deploy::{
    Applied, DeployRequest, DeploymentStatus, Plan, State, Step, apply, plan_deploy, status,
};
use sealstone::import::catalogue::Catalogue;
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Elapsed, Facts, Table, Terminal, escape, plural, write_document};
use crate::target::TargetArgs;

/// Make an image bootable: state, kernel, boot entry
///
/// The first deployment of a sysroot is an installation, each later one an update: the old one stays in the menu and
/// bootable. The order of writes is such that a cut at any point leaves a menu that boots; a rerun finishes. /etc is made
/// anew from the image, /var once. Owners in /etc and /var need root.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store deploy os:1 --sysroot /mnt --esp /mnt/boot
  store deploy os:2 --sysroot /mnt --esp /mnt/boot --karg console=ttyS0
  store deploy os:2 --sysroot /mnt --esp /mnt/boot --dry-run --json")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    #[command(flatten)]
    target: TargetArgs,
    /// A kernel argument; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg: Vec<Karg>,
    /// Print the plan, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer of a dry run, `sealstone.deploy-plan/1`.
#[derive(Serialize)]
struct PlanDocument<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
}

/// The answer, `sealstone.deploy/1`.
#[derive(Serialize)]
struct Document<'a> {
    deployment: &'a DeploymentStatus,
    steps: usize,
    files: u64,
    bytes: u64,
    without_owner: u64,
    without_attributes: u64,
    without_node: u64,
    seconds: f64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if !args.target.has_esp() {
        bail!("say with --esp where the boot partition is mounted: without one, nothing can boot");
    }
    let target = args.target.open(context)?;
    let Some(stored) = Catalogue::read(&target.repository)?.find(&args.image)?.stored else {
        bail!("{} has no name any more: import it again", escape(args.image.as_bytes()));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let request = DeployRequest::of(&stored, args.karg.clone(), i64::try_from(now)?)?;
    let plan = plan_deploy(&target, &request)?;
    if args.dry_run {
        return show_plan(&plan, args.reporting.json, context);
    }
    let start = Instant::now();
    let done = apply(&target, &plan, context.control()?)?;
    let elapsed = start.elapsed();
    let status = status(&target, args.target.running().as_ref())?;
    let wanted = plan.deployment.as_ref().map(|record| record.id);
    let deployment = status.deployments.iter().find(|deployment| Some(deployment.record.id) == wanted);
    let Some(deployment) = deployment else { bail!("the deployment was removed while it was being made") };
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(
                out,
                "sealstone.deploy/1",
                &document(deployment, &done, elapsed.as_secs_f64()),
            );
        }
        let name = terminal.bold(&escape(stored.name.as_bytes()));
        let summary = match done.steps as u64 {
            0 => "is deployed already, nothing to do".to_owned(),
            steps => format!("deployed in {}, {}", Elapsed(elapsed), plural(steps, "step")),
        };
        writeln!(out, "{name} {summary}")?;
        facts(deployment, &done).write(out, terminal)?;
        let others = status.deployments.len() - 1;
        if others > 0 {
            writeln!(
                out,
                "{}",
                terminal.dim(&format!(
                    "  {} in the menu stays bootable",
                    plural(others as u64, "older deployment")
                ))
            )?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
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
        .add("state", format!("state/deploy/{}", short_id(&record.id, false) + "…"));
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

fn document<'a>(deployment: &'a DeploymentStatus, done: &Applied, seconds: f64) -> Document<'a> {
    let populated = &done.populated;
    Document {
        deployment,
        steps: done.steps,
        files: populated.files,
        bytes: populated.bytes,
        without_owner: populated.without_owner,
        without_attributes: populated.without_attributes,
        without_node: populated.without_node,
        seconds,
    }
}

fn show_plan(plan: &Plan, json: bool, context: &Context) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.deploy-plan/1", &PlanDocument { plan });
        }
        if plan.is_empty() {
            return writeln!(out, "nothing to do");
        }
        for (number, step) in plan.steps.iter().enumerate() {
            writeln!(out, "{:>3}  {}", number + 1, describe(step))?;
        }
        writeln!(out)?;
        room(plan, terminal).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn room(plan: &Plan, terminal: Terminal) -> Table {
    let mut table = Table::new().left("ON").elastic().right("NEEDED").right("FREE").left("");
    for room in &plan.room {
        let verdict = if room.suffices() { String::new() } else { terminal.bad("too little") };
        table.row([
            room.place.clone(),
            Bytes(room.needed).to_string(),
            Bytes(room.free).to_string(),
            verdict,
        ]);
    }
    table
}

fn describe(step: &Step) -> String {
    match step {
        Step::Keep { deployments } => {
            format!("keep the images of {}", plural(deployments.len() as u64, "deployment"))
        }
        Step::MakeVar { .. } => "make /var from the image".to_owned(),
        Step::MakeState { id, .. } => format!("make /etc of {}", short_id(id, false)),
        Step::MergeEtc { id, .. } => format!("make /etc of {} again, with what changed", short_id(id, false)),
        Step::WriteRecord { id, state: State::Making } => {
            format!("record {} as not whole", short_id(id, false))
        }
        Step::WriteRecord { id, state: State::Staged } => format!("record {} as staged", short_id(id, false)),
        Step::WriteRecord { id, .. } => format!("record {} as whole", short_id(id, false)),
        Step::WriteKernel { esp, digest, .. } => {
            format!("write kernel {} to boot partition {esp}", short_id(digest, false))
        }
        Step::WriteEntry { esp, name, .. } => format!("write entry {name} to boot partition {esp}"),
        Step::RemoveEntry { esp, name } => format!("remove entry {name} from boot partition {esp}"),
        Step::RemoveRecord { id } => format!("remove the record of {}", short_id(id, false)),
        Step::RemoveState { id } => format!("remove /etc of {}", short_id(id, false)),
        Step::Release { deployment, .. } => {
            format!("stop keeping the image of {}", short_id(&deployment.id, false))
        }
        Step::RemoveKernel { esp, digest } => {
            format!("remove kernel {} from boot partition {esp}", short_id(digest, false))
        }
        _ => "another step".to_owned(),
    }
}
