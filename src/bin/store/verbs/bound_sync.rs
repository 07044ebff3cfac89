//! `store bound sync`: brings back what is missing of the bound images of a deployment.

use anyhow::Context as _;
use sealstone::deploy::bound::{BoundImage, heal_bound};
use sealstone::deploy::{DeploymentId, Plan, Record, Target, apply, find_deployment, plan_sync_bound};
use sealstone::import::ImportOptions;
use serde::Serialize;

use crate::args::Reporting;
use crate::bound;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, escape, plural, write_document};
use crate::registry::RegistryArgs;
use crate::target::TargetArgs;

/// Fetch what is missing of a deployment's bound images, and make its image store whole
///
/// Images are fetched by the digests in the deployment's record: what a tag leads to today does not matter. One that lost any
/// file in the repository is read again, whole.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bound sync
  store bound sync --sysroot /mnt --deployment 3f2a
  store bound sync --dry-run")]
pub struct Args {
    /// The deployment, by its id's beginning [default: the running one, else the one that boots next]
    #[arg(long, value_name = "ID")]
    deployment: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// Say what is missing, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.bound-sync/1`.
#[derive(Serialize)]
struct Document {
    deployment: String,
    dry_run: bool,
    missing: Vec<String>,
    store_made: bool,
    files: u64,
    bytes: u64,
    shared_bytes: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if !args.dry_run {
        args.target.make_writable();
    }
    let target = args.target.open(context)?;
    let running = args.target.running();
    let record = choose(&target, args.deployment.as_deref(), running.as_ref())?;
    let control = context.control()?;
    let mut missing: Vec<BoundImage> = Vec::new();
    for image in &record.bound {
        if !image.is_stored(&target.repository)? || image.lost_objects(&target.repository, control)? > 0 {
            missing.push(image.clone());
        }
    }
    let mut document = Document {
        deployment: record.id.to_string(),
        dry_run: args.dry_run,
        missing: missing.iter().map(|image| image.reference.clone()).collect(),
        store_made: false,
        files: 0,
        bytes: 0,
        shared_bytes: 0,
    };
    if args.dry_run {
        let plan = plan_sync_bound(&target, &record.id, running.as_ref())?;
        document.store_made = makes_store(&plan);
    } else {
        let options = ImportOptions::default();
        let opener = bound::opener(&args.registry, &options, &target.repository, context);
        let held = heal_bound(&target.repository, record.bound.clone(), &opener, &options, control)?;
        let plan = plan_sync_bound(&target, &record.id, running.as_ref())?;
        let done = apply(&target, &plan, control)?.image_store;
        drop(held);
        document.store_made = makes_store(&plan);
        (document.files, document.bytes, document.shared_bytes) = (done.files, done.bytes, done.shared_bytes);
    }
    print(&document, args.reporting.json, context)?;
    Ok(Exit::Done)
}

fn makes_store(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, sealstone::deploy::Step::MakeImageStore { .. }))
}

/// The deployment that is meant; without a word what runs, else what boots by default.
fn choose(target: &Target, wanted: Option<&str>, running: Option<&DeploymentId>) -> anyhow::Result<Record> {
    let by_default = if running.is_some() { "running" } else { "default" };
    let id = find_deployment(target, wanted.unwrap_or(by_default), running)?;
    let (records, _) = target.sysroot.records()?;
    records
        .into_iter()
        .find(|record| record.id == id)
        .context("that deployment is bootc's, which binds nothing here")
}

fn print(document: &Document, json: bool, context: &Context) -> anyhow::Result<()> {
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.bound-sync/1", document);
        }
        let verb = if document.dry_run { "would fetch" } else { "fetched" };
        for reference in &document.missing {
            writeln!(out, "{verb} {}", escape(reference.as_bytes()))?;
        }
        let id = terminal.bold(&short_id(&document.deployment, false));
        match (document.store_made, document.dry_run) {
            (true, true) => writeln!(out, "{id}: its image store would be made again"),
            (true, false) => writeln!(
                out,
                "{id}: its image store was made, {}, {} of {} shared; `store bound mount` shows it",
                plural(document.files, "file"),
                Bytes(document.shared_bytes),
                Bytes(document.bytes)
            ),
            (false, _) if document.missing.is_empty() => writeln!(out, "{id}: nothing is missing"),
            (false, _) => Ok(()),
        }
    })
}
