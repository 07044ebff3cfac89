//! `store fsck`: checks every object, image, stream and ref; mends with `--repair`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sealstone::store::disk::RealDisk;
use sealstone::store::{Damage, FsckDepth, FsckReport, ObjectSource, RepairReport, Repository};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Count, Elapsed, Facts, escape, plural, write_document};

/// How long a repair waits for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Check every object, image and ref; mend with --repair
///
/// Reads all bytes of all objects and compares their digests. Ends with 1 if there is damage left. A repair takes good
/// copies from the repositories given with --from, moves damaged objects to quarantine, and removes names whose content
/// is gone; the next import of the image brings it back.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store fsck
  store fsck --structure                      # names and images only, quickly
  store fsck --repair --from /mnt/backup/repo
  store fsck --json | jq '.damage[]'")]
pub struct Args {
    /// Mend what can be mended
    #[arg(long)]
    repair: bool,
    /// A repository that may have good copies; may be given several times
    #[arg(long, value_name = "REPO", requires = "repair")]
    from: Vec<PathBuf>,
    /// Check names, images and streams, and of the other objects only that they are there
    #[arg(long)]
    structure: bool,
    /// With --repair: say what is damaged, and mend nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.fsck/1`.
#[derive(Serialize)]
struct Document<'a> {
    objects: u64,
    bytes_checked: u64,
    images: u64,
    streams: u64,
    refs: u64,
    index_entries: u64,
    damage: Vec<DamageDocument<'a>>,
    repair: Option<RepairDocument<'a>>,
    seconds: f64,
}

#[derive(Serialize)]
struct DamageDocument<'a> {
    message: String,
    #[serde(flatten)]
    damage: &'a Damage,
}

#[derive(Serialize)]
struct RepairDocument<'a> {
    healed: &'a [String],
    quarantined: &'a [String],
    unlinked: &'a [String],
    index_rebuilt: bool,
    remaining: Vec<DamageDocument<'a>>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repairs = args.repair && !args.dry_run;
    let repository =
        if repairs { context.open_repository_to_change()? } else { context.open_repository()? };
    let start = Instant::now();
    let depth = if args.structure { FsckDepth::Structure } else { FsckDepth::Everything };
    let report = repository.fsck(depth, context.control()?)?;
    let repair = if repairs && !report.damage.is_empty() {
        Some(mend(args, &repository, &report, context)?)
    } else {
        None
    };
    let elapsed = start.elapsed();
    let remaining = repair.as_ref().map_or(&report.damage, |repair| &repair.remaining);
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(
                out,
                "sealstone.fsck/1",
                &document(&report, repair.as_ref(), elapsed.as_secs_f64()),
            );
        }
        for damage in &report.damage {
            writeln!(out, "{} {}", terminal.bad("damaged:"), escape(damage.to_string().as_bytes()))?;
        }
        let verdict = match (report.damage.len() as u64, remaining.len() as u64) {
            (0, _) => terminal.good("all is well"),
            (found, 0) => terminal.good(&format!("{} found, all mended", plural(found, "damage"))),
            (found, left) if repair.is_some() => {
                terminal.bad(&format!("{} found, {} left", plural(found, "damage"), Count(left)))
            }
            (found, _) => terminal.bad(&format!("{} found", plural(found, "damage"))),
        };
        let checked = format!(
            "{}, {} checked in {}",
            plural(report.objects, "object"),
            Bytes(report.bytes_checked),
            Elapsed(elapsed)
        );
        writeln!(out, "{verdict}: {checked}")?;
        repair.as_ref().map_or(Ok(()), |repair| facts(repair).write(out, terminal))
    })?;
    Ok(if remaining.is_empty() { Exit::Done } else { Exit::Failed })
}

fn mend(
    args: &Args,
    repository: &Repository,
    report: &FsckReport,
    context: &Context,
) -> anyhow::Result<RepairReport> {
    let disk = RealDisk::shared();
    let others = args.from.iter().map(|path| Repository::open(&disk, path)).collect::<Result<Vec<_>, _>>()?;
    let sources: Vec<&dyn ObjectSource> = others.iter().map(|other| other as &dyn ObjectSource).collect();
    Ok(repository.repair(report, &sources, PATIENCE, context.control()?)?.into_inner())
}

fn facts(repair: &RepairReport) -> Facts {
    let mut facts = Facts::new();
    facts
        .add("healed", plural(repair.healed.len() as u64, "object"))
        .add("quarantined", plural(repair.quarantined.len() as u64, "object"))
        .add("removed", plural(repair.unlinked.len() as u64, "name"));
    facts
}

fn damages(list: &[Damage]) -> Vec<DamageDocument<'_>> {
    list.iter().map(|damage| DamageDocument { message: damage.to_string(), damage }).collect()
}

fn document<'a>(report: &'a FsckReport, repair: Option<&'a RepairReport>, seconds: f64) -> Document<'a> {
    Document {
        objects: report.objects,
        bytes_checked: report.bytes_checked,
        images: report.images,
        streams: report.streams,
        refs: report.refs,
        index_entries: report.index_entries,
        damage: damages(&report.damage),
        repair: repair.map(|repair| RepairDocument {
            healed: &repair.healed,
            quarantined: &repair.quarantined,
            unlinked: &repair.unlinked,
            index_rebuilt: repair.index_rebuilt,
            remaining: damages(&repair.remaining),
        }),
        seconds,
    }
}
