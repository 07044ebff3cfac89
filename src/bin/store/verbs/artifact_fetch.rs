//! `store artifact fetch REFERENCE --output PLACE`: one file out of a registry, verified, to a file, a device or a pipe.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::ValueEnum;
use sealstone::import::artifact::{
    Artifact, ArtifactChoice, ArtifactOutput, DiskType, FetchOptions, Fetched, Ranking, StreamOutput, Target,
    fetch_artifact, find_artifact,
};
use sealstone::import::decompress::Compression;
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::import::{Digest, Limits};
use sealstone::store::{Error as StoreError, disk::RealDisk};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Elapsed, Facts, escape, write_document};
use crate::registry::RegistryArgs;
use crate::source;

/// Fetch an artifact's file: verified, unpacked as it comes, with holes for zeros
///
/// A file gets its name when all of it is verified and on the disk; what a broken download leaves is gone on with. A device
/// gets its first mebibyte, which makes it start, after all the rest was verified. To a pipe (-) bytes go out unverified: only the exit
/// code 0 says that they were right.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store artifact fetch docker://quay.io/podman/machine-os:5.6 --output machine.raw
  store artifact fetch --prefer qcow2 docker://quay.io/podman/machine-os:5.6 --output machine.qcow2
  store artifact fetch --arch aarch64 oci://registry.example/os:1 --output /dev/vdb
  store artifact fetch docker://registry.example/tool:1 --output - | tar -x")]
pub struct Args {
    // An attribute, not a comment: rustdoc would read the brackets as a link.
    #[arg(
        help = "docker:// or oci://HOST/REPOSITORY[:TAG][@DIGEST], or oci:DIR[:TAG] or oci-archive:FILE[:TAG]"
    )]
    reference: String,
    /// Where to: a file, a block device, or - for standard output
    #[arg(short, long, value_name = "PLACE")]
    output: PathBuf,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Write the file as it lies in the registry, compressed or not
    #[arg(long)]
    keep_packed: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The flags that choose among several artifacts.
#[derive(clap::Args)]
pub struct ChoiceArgs {
    /// The architecture it is for [default: of this processor]
    #[arg(long, value_name = "ARCH[/VARIANT]", value_parser = architecture)]
    arch: Option<Platform>,
    /// Which format is taken first, where there are several
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Raw)]
    prefer: Format,
    /// This disk type alone: raw, applehv, qcow2 or qemu
    #[arg(long, value_name = "TYPE")]
    disktype: Option<DiskType>,
    /// Take it only if it, or the index that leads to it, has this digest
    #[arg(long, value_name = "DIGEST")]
    require_digest: Option<Digest>,
}

/// `--prefer`.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Raw,
    Qcow2,
}

fn architecture(text: &str) -> Result<Platform, String> {
    format!("linux/{text}").parse().map_err(|_| format!("{text:?} is no ARCH[/VARIANT]"))
}

impl ChoiceArgs {
    /// What is wanted.
    pub fn choice(&self) -> ArtifactChoice {
        let mut choice = ArtifactChoice::default();
        if let Some(platform) = &self.arch {
            choice.platform = platform.clone();
        }
        choice.ranking = match self.prefer {
            Format::Raw => Ranking::RawFirst,
            Format::Qcow2 => Ranking::Qcow2First,
        };
        choice.disk_type = self.disktype;
        choice.require_digest = self.require_digest;
        choice
    }
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let reference: Reference = args.reference.parse()?;
    let is_stream = args.output.as_os_str() == "-";
    if is_stream && args.reporting.json {
        let (value, reason) = ("-".to_owned(), "--json would use the standard output as well");
        return Err(StoreError::Invalid { what: "--output", value, reason }.into());
    }
    let limits = Limits::default();
    let target = if is_stream { None } else { Some(Target::look(&RealDisk::shared(), &args.output)?) };
    let mut choice = args.choice.choice();
    choice.raw_only = target.as_ref().is_some_and(Target::is_device);
    let mut options = FetchOptions::default();
    options.keep_packed = args.keep_packed;
    let what = || format!("fetch {}", escape(args.reference.as_bytes()));
    let source = source::open_artifact(&reference, &args.registry, &limits, context)?;
    let start = Instant::now();
    let artifact = find_artifact(&*source, &choice, &limits).with_context(what)?;
    let packed = options.unpacks(&artifact);
    let mut output: Box<dyn ArtifactOutput> = match &target {
        Some(target) => target.open(&artifact, packed == Compression::None)?,
        None => Box::new(StreamOutput::new("the standard output", std::io::stdout())),
    };
    let control = context.control()?;
    let done = fetch_artifact(&*source, &artifact, &mut *output, &options, control).with_context(what)?;
    let time = start.elapsed();
    if is_stream {
        context.clear_bars();
        return Ok(Exit::Done);
    }
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = document(args, &artifact, &done, packed, time.as_secs_f64());
            return write_document(out, "sealstone.artifact/1", &document);
        }
        let place = escape(args.output.as_os_str().as_encoded_bytes());
        writeln!(out, "{} fetched in {}", terminal.bold(&place), Elapsed(time))?;
        facts(&artifact, &done).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn facts(artifact: &Artifact, done: &Fetched) -> Facts {
    let mut facts = Facts::new();
    facts.add("manifest", artifact.manifest).add("file", Bytes(done.file_bytes));
    facts.add("read", Bytes(done.read_bytes));
    if done.resumed_bytes > 0 {
        facts.add("there", Bytes(done.resumed_bytes));
    }
    if let Some(disk_type) = artifact.disk_type {
        facts.add("disk type", disk_type);
    }
    if let Some(title) = &artifact.title {
        facts.add("title", escape(title.as_bytes()));
    }
    facts
}

/// The answer, `sealstone.artifact/1`.
#[derive(Serialize)]
struct Document {
    output: String,
    named: String,
    manifest: String,
    artifact_type: Option<String>,
    blob: String,
    blob_bytes: u64,
    media_type: String,
    unpacked: &'static str,
    file_bytes: u64,
    read_bytes: u64,
    resumed_bytes: u64,
    title: Option<String>,
    disk_type: Option<&'static str>,
    disk_format: Option<&'static str>,
    platform: Option<String>,
    seconds: f64,
}

fn document(args: &Args, artifact: &Artifact, done: &Fetched, packed: Compression, seconds: f64) -> Document {
    let text = |text: &String| escape(text.as_bytes());
    Document {
        output: escape(args.output.as_os_str().as_encoded_bytes()),
        named: artifact.named.to_string(),
        manifest: artifact.manifest.to_string(),
        artifact_type: artifact.artifact_type.as_ref().map(text),
        blob: artifact.body.digest().to_string(),
        blob_bytes: artifact.body.size(),
        media_type: escape(artifact.media_type().as_bytes()),
        unpacked: packed.name(),
        file_bytes: done.file_bytes,
        read_bytes: done.read_bytes,
        resumed_bytes: done.resumed_bytes,
        title: artifact.title.as_ref().map(text),
        disk_type: artifact.disk_type.map(DiskType::name),
        disk_format: artifact.disk_type.map(DiskType::format),
        platform: artifact.platform.as_ref().map(ToString::to_string),
        seconds,
    }
}
