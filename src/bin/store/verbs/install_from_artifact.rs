//! `store install from-artifact REFERENCE TARGET`: a whole-disk image out of a registry, straight onto a disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use sealstone::deploy::install::{ConfigDrive, DiskImageOptions, DiskTarget, WrittenDisk, write_disk_image};
use sealstone::import::Limits;
use sealstone::import::artifact::{Artifact, find_artifact};
use sealstone::import::source::Reference;
use sealstone::store::disk::{Dir, RealDisk};
use serde::Serialize;

use super::artifact_fetch::ChoiceArgs;
use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Elapsed, Facts, escape, write_document};
use crate::registry::RegistryArgs;
use crate::source;

/// Write a whole-disk image, an OCI artifact, onto a device or into a file
///
/// The image is raw or qcow2, packed with gzip or zstd or not, and chosen as `store artifact fetch` does. It goes straight from the
/// registry to the disk: nothing is kept elsewhere, and zeros are not written where the disk can have them otherwise. The first
/// mebibyte, with the partition table, goes last, when all the rest is on the disk and its digest has matched; until then
/// nothing on it can be started. Where the device is larger than the image, the second table of a GPT goes to its end. A
/// file gets its name at the end.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store install from-artifact oci://registry.example/os:1 /dev/nvme0n1 --wipe
  store install from-artifact docker://registry.example/os:1 disk.raw
  store install from-artifact oci://registry.example/os:1 /dev/nvme0n1 --wipe --config-drive drive.iso.gz.b64
  store install from-artifact --arch aarch64 --disktype qcow2 docker://registry.example/os:1 /dev/vdb --pull-secret fd:3")]
pub struct Args {
    // An attribute, not a comment: rustdoc would read the brackets as a link.
    #[arg(
        help = "docker:// or oci://HOST/REPOSITORY[:TAG][@DIGEST], or oci:DIR[:TAG] or oci-archive:FILE[:TAG]"
    )]
    reference: Reference,
    /// A block device, or a file to be made
    target: PathBuf,
    /// Let what is on the target go
    #[arg(long)]
    wipe: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Where a qcow2 image whose tables follow its data is kept in part [default: beside a file; TMPDIR or /var/tmp for a
    /// device]
    #[arg(long, value_name = "DIR")]
    tmpdir: Option<PathBuf>,
    /// How much of such an image is kept there at most
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, default_value = "256M")]
    spool: u64,
    /// What the machine reads at its first boot, put into a partition config-2 behind the image's: an ISO 9660 or FAT file
    /// system, gzip and base64 of one, or a folder
    #[arg(long, value_name = "FILE|DIR")]
    config_drive: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let limits = Limits::default();
    let target = DiskTarget::look(&RealDisk::shared(), &args.target, args.wipe)?;
    let mut options = DiskImageOptions::default();
    options.decode.spool = spool_folder(args, &target)?;
    options.decode.spool_bytes = args.spool;
    if let Some(path) = &args.config_drive {
        options.config_drive = Some(Arc::new(ConfigDrive::open(&RealDisk::shared(), path)?));
    }
    let what = || format!("install {}", escape(args.reference.to_string().as_bytes()));
    let source = source::open_artifact(&args.reference, &args.registry, &limits, context)?;
    let start = Instant::now();
    let artifact = find_artifact(&*source, &args.choice.choice(), &limits).with_context(what)?;
    let done =
        write_disk_image(&*source, &artifact, &target, &options, context.control()?).with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = document(args, &artifact, &done, time.as_secs_f64());
            return write_document(out, "sealstone.disk-image/1", &document);
        }
        let place = escape(args.target.as_os_str().as_encoded_bytes());
        writeln!(out, "{} written in {}", terminal.bold(&place), Elapsed(time))?;
        facts(&artifact, &done).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

/// The folder for a spool. If there is none and none was named, only images that need none can be read.
fn spool_folder(args: &Args, target: &DiskTarget) -> anyhow::Result<Option<Dir>> {
    let disk = RealDisk::shared();
    if let Some(given) = &args.tmpdir {
        return Ok(Some(Dir::open(&disk, given)?));
    }
    if let Some(folder) = target.folder() {
        return Ok(Some(folder.clone()));
    }
    let usual = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    Ok(Dir::open(&disk, usual).ok())
}

fn facts(artifact: &Artifact, done: &WrittenDisk) -> Facts {
    let mut facts = Facts::new();
    facts
        .add("manifest", artifact.manifest)
        .add("image", format!("{}, {}", done.format, Bytes(done.disk_bytes)))
        .add("read", Bytes(done.fetched.read_bytes))
        .add("written", Bytes(done.written_bytes));
    for partition in &done.table.partitions {
        let name = if partition.name.is_empty() { &partition.kind } else { &partition.name };
        let text = format!("{}, {} at {}", escape(name.as_bytes()), Bytes(partition.bytes), partition.offset);
        facts.add("partition", text);
    }
    facts
}

/// The answer, `sealstone.disk-image/1`.
#[derive(Serialize)]
struct Document {
    target: String,
    manifest: String,
    blob: String,
    format: &'static str,
    disk_bytes: u64,
    target_bytes: u64,
    written_bytes: u64,
    read_bytes: u64,
    sector_bytes: Option<u32>,
    partitions: Vec<PartitionDocument>,
    seconds: f64,
}

#[derive(Serialize)]
struct PartitionDocument {
    number: u32,
    offset: u64,
    bytes: u64,
    kind: String,
    name: String,
}

fn document(args: &Args, artifact: &Artifact, done: &WrittenDisk, seconds: f64) -> Document {
    let partitions = done.table.partitions.iter().map(|partition| PartitionDocument {
        number: partition.number,
        offset: partition.offset,
        bytes: partition.bytes,
        kind: partition.kind.clone(),
        name: escape(partition.name.as_bytes()),
    });
    Document {
        target: escape(args.target.as_os_str().as_encoded_bytes()),
        manifest: artifact.manifest.to_string(),
        blob: artifact.body.digest().to_string(),
        format: done.format.name(),
        disk_bytes: done.disk_bytes,
        target_bytes: done.target_bytes,
        written_bytes: done.written_bytes,
        read_bytes: done.fetched.read_bytes,
        sector_bytes: done.table.sector_bytes,
        partitions: partitions.collect(),
        seconds,
    }
}
