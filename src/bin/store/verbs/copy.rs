//! `store copy SRC DST IMAGE`: an image from one repository into another.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use sealstone::deploy::{CopiedImage, copy_image};
use sealstone::import::{CopyPlan, ImportOptions, LayerOrigin, plan_copy};
use sealstone::store::Repository;
use sealstone::store::disk::RealDisk;
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::{short_id, stored_image};
use crate::output::{Bytes, Elapsed, Facts, Table, escape, plural, write_document};

/// Copy an image to another repository
///
/// Everything is hashed on its way, whatever the source is; files that the destination has are not written again, and where
/// the file system can share blocks (btrfs, XFS), new ones take no space. A repository with another algorithm gets the image under
/// the ids that an import would give it. Nothing is visible there before all of it is right and on the disk.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store copy /mnt/usb/repo /sysroot/composefs os:1
  store copy --dry-run /mnt/usb/repo /sysroot/composefs os:1
  store copy --name os:2 old new sha256:6b0a")]
pub struct Args {
    /// The repository that has the image
    #[arg(value_name = "SRC-REPO")]
    from: PathBuf,
    /// The repository that gets it
    #[arg(value_name = "DST-REPO")]
    to: PathBuf,
    /// A name, a manifest digest or an image id
    image: String,
    /// What to call it there [default: as here]
    #[arg(long)]
    name: Option<String>,
    /// Say what would be copied, and copy nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.copy/1`.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    manifest: String,
    config: String,
    image: String,
    bootable: Option<String>,
    layers_read: u64,
    new_objects: u64,
    new_bytes: u64,
    shared_blocks: u64,
    seconds: f64,
}

/// The answer, `sealstone.copy-plan/1`.
#[derive(Serialize)]
struct PlanDocument {
    layers: Vec<LayerDocument>,
    objects: Option<u64>,
    bytes_to_read: u64,
}

#[derive(Serialize)]
struct LayerDocument {
    diff_id: String,
    tar_bytes: u64,
    present: bool,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let disk = RealDisk::shared();
    let from = Repository::open(&disk, &args.from)?;
    let to = Repository::open(&disk, &args.to)?;
    let stored = stored_image(&from, &args.image)?;
    let options = ImportOptions::default();
    if args.dry_run {
        let plan = plan_copy(&from, &to, &stored.manifest, &options)?;
        return show_plan(&plan, args.reporting.json, context);
    }
    let name = args.name.as_deref().unwrap_or(&stored.name);
    let what = || format!("copy {} to {}", escape(stored.name.as_bytes()), args.to.display());
    let start = Instant::now();
    let control = context.control()?;
    let done = copy_image(&from, &to, &stored.manifest, name, &options, control).with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.copy/1", &document(name, &done, time.as_secs_f64()));
        }
        writeln!(out, "{} copied in {}", terminal.bold(&escape(name.as_bytes())), Elapsed(time))?;
        facts(&done).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn facts(done: &CopiedImage) -> Facts {
    let report = &done.imported.report;
    let mut facts = Facts::new();
    facts
        .add("image", done.imported.images.image)
        .add_some("bootable", done.imported.images.bootable.as_ref().ok())
        .add("manifest", done.imported.manifest)
        .add("new", format!("{}, {}", plural(report.new_objects(), "object"), Bytes(report.new_bytes())));
    if done.shared_blocks > 0 {
        facts.add("blocks shared", plural(done.shared_blocks, "object"));
    }
    facts
}

fn document<'a>(name: &'a str, done: &CopiedImage, seconds: f64) -> Document<'a> {
    let report = &done.imported.report;
    let read = report.layers.iter().filter(|layer| layer.origin != LayerOrigin::Present);
    Document {
        name,
        manifest: done.imported.manifest.to_string(),
        config: done.imported.config.to_string(),
        image: done.imported.images.image.to_string(),
        bootable: done.imported.images.bootable.as_ref().ok().map(ToString::to_string),
        layers_read: read.count() as u64,
        new_objects: report.new_objects(),
        new_bytes: report.new_bytes(),
        shared_blocks: done.shared_blocks,
        seconds,
    }
}

fn show_plan(plan: &CopyPlan, json: bool, context: &Context) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if json {
            let layers = plan.layers.iter().map(|layer| LayerDocument {
                diff_id: layer.diff_id.to_string(),
                tar_bytes: layer.tar_bytes,
                present: layer.is_present,
            });
            let (objects, bytes_to_read) = (plan.objects, plan.bytes_to_read());
            let document = PlanDocument { layers: layers.collect(), objects, bytes_to_read };
            return write_document(out, "sealstone.copy-plan/1", &document);
        }
        let mut table = Table::new().left("LAYER").left("").right("TAR");
        for layer in &plan.layers {
            let state = if layer.is_present { "present" } else { "to copy" };
            table.row([
                short_id(&layer.diff_id, false),
                state.to_owned(),
                Bytes(layer.tar_bytes).to_string(),
            ]);
        }
        table.write(out, terminal)?;
        let bytes = Bytes(plan.bytes_to_read());
        match plan.objects {
            Some(objects) => writeln!(out, "would read {bytes}, and bring {}", plural(objects, "object")),
            None => writeln!(out, "would read {bytes}, for a repository with another algorithm"),
        }
    })?;
    Ok(Exit::Done)
}
