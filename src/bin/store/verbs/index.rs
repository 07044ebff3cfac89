//! `store index`: notes the SHA-256 of each object, so that zstd:chunked layers can be fetched in part.

use std::time::Instant;

use sealstone::store::{IndexOptions, IndexReport};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Elapsed, Facts, plural, write_document};

/// Note the SHA-256 of each object, so that updates can be fetched in part
///
/// A registry's zstd:chunked layers name their files by SHA-256. What the index has of them is taken from the repository
/// instead of being fetched. Imports of such layers index their files by themselves; this does it for everything that the
/// repository has from other layers. Objects that are in the index already are not read again.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store index --dry-run       # how many bytes would be read?
  store index
  store import docker://registry.example.org/os:2   # fetches only what is new")]
pub struct Args {
    /// Say what would be read, and read nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.index/1`.
#[derive(Serialize)]
struct Document {
    dry_run: bool,
    objects: u64,
    known_objects: u64,
    indexed_objects: u64,
    indexed_bytes: u64,
    damaged_objects: u64,
    seconds: f64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository =
        if args.dry_run { context.open_repository()? } else { context.open_repository_to_change()? };
    let options = IndexOptions { dry_run: args.dry_run };
    let start = Instant::now();
    let report = repository.index_contents(&options, context.control()?)?.into_inner();
    let elapsed = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.index/1", &document(&report, elapsed.as_secs_f64()));
        }
        let verb = if report.dry_run { "would index" } else { "indexed" };
        let objects = plural(report.indexed_objects, "object");
        let bytes = terminal.bold(&Bytes(report.indexed_bytes).to_string());
        writeln!(out, "{verb} {objects}, {bytes} in {}", Elapsed(elapsed))?;
        let mut facts = Facts::new();
        facts.add("known", plural(report.known_objects, "object"));
        let damaged = (report.damaged_objects > 0)
            .then(|| format!("{}, passed over: run fsck", plural(report.damaged_objects, "object")));
        facts.add_some("damaged", damaged).write(out, terminal)
    })?;
    Ok(if report.damaged_objects > 0 { Exit::Failed } else { Exit::Done })
}

const fn document(report: &IndexReport, seconds: f64) -> Document {
    Document {
        dry_run: report.dry_run,
        objects: report.objects,
        known_objects: report.known_objects,
        indexed_objects: report.indexed_objects,
        indexed_bytes: report.indexed_bytes,
        damaged_objects: report.damaged_objects,
        seconds,
    }
}
