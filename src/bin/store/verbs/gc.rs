//! `store gc`: deletes what no ref reaches.

use sealstone::store::{GcOptions, GcReport};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Count, Facts, plural, write_document};

/// Delete objects that nothing needs
///
/// Keeps whatever an image's name or a deployment reaches. Waits for imports that are running, and names the process if
/// that takes too long. If anything that is needed cannot be read, nothing is deleted: run fsck first.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store gc --dry-run
  store rm os:1 && store gc")]
pub struct Args {
    /// Say what would be deleted, and delete nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.gc/1`.
#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    roots: usize,
    live_objects: usize,
    images: &'a [String],
    streams: &'a [String],
    objects: u64,
    bytes: u64,
    temporaries: u64,
    foreign: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository =
        if args.dry_run { context.open_repository()? } else { context.open_repository_to_change()? };
    let options = GcOptions { dry_run: args.dry_run, ..GcOptions::default() };
    let report = repository.gc(&options, context.control()?)?;
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.gc/1", &document(&report));
        }
        let verb = if report.dry_run { "would delete" } else { "deleted" };
        let objects = plural(report.removed_objects, "object");
        writeln!(out, "{verb} {objects}, {}", terminal.bold(&Bytes(report.removed_bytes).to_string()))?;
        let mut facts = Facts::new();
        facts.add("images", Count(report.removed_images.len() as u64));
        facts.add("streams", Count(report.removed_streams.len() as u64));
        facts.add(
            "kept",
            format!(
                "{} under {}",
                plural(report.live_objects as u64, "object"),
                plural(report.roots as u64, "name")
            ),
        );
        let foreign = (report.foreign_files > 0).then(|| {
            format!("{} among the objects, left alone", plural(report.foreign_files, "foreign file"))
        });
        facts.add_some("foreign", foreign).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn document(report: &GcReport) -> Document<'_> {
    Document {
        dry_run: report.dry_run,
        roots: report.roots,
        live_objects: report.live_objects,
        images: &report.removed_images,
        streams: &report.removed_streams,
        objects: report.removed_objects,
        bytes: report.removed_bytes,
        temporaries: report.removed_temporaries,
        foreign: report.foreign_files,
    }
}
