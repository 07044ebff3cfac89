//! `store import REFERENCE`: brings an OCI image in, verifies all of it, and makes its file-system images.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use sealstone::deploy::{ImportedImage, NotBootable, import_image};
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::import::tar::Strictness;
use sealstone::import::{Digest, ImportOptions, LayerOrigin, LayerReport, Limits, Reserve};
use sealstone::store::{Error as StoreError, ObjectId};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Count, Elapsed, Facts, Table, escape, plural, printable, write_document};
use crate::registry::RegistryArgs;
use crate::source;

use super::import_explain::{self, Finding};

/// Import an OCI image: verify every byte, store what is new
///
/// Every digest and size is checked while the bytes stream: manifest, config, blobs and tars. What the repository has
/// already is not written again; a layer that it has is not even read. Nothing is visible before all of it is right and
/// on the disk. Two images can come of it: the plain one, and with a kernel inside the bootable one.
#[derive(clap::Args)]
#[command(after_help = "\
Transports:
  docker://HOST/REPOSITORY[:TAG][@DIGEST]  a registry; oci:// is the same, as Ironic writes it
  oci:DIR[:TAG]                            an OCI layout
  oci-archive:FILE[:TAG]                   a tar of one
  docker-archive:FILE[:NAME]               what docker save and podman save write
  dir:DIR                                  what skopeo copies into a folder
  containers-storage:[DRIVER@ROOT]IMAGE    podman's storage, by id or name
  tar:FILE                                 the tar of one layer, as an image
@N in place of a tag or name is the N-th image. FILE may be -, the standard input. What comes from
there or is compressed is unpacked into a temporary file in the repository first; anything else is
read in place.

Examples:
  store import --name os:1 oci:image          # a folder in OCI layout
  store import --name os:2 oci-archive:os.tar:stable
  store import --name os:3 docker://quay.io/fedora/fedora-bootc:42
  store import --platform linux/arm64 oci:image:latest
  store import --name tool:1 docker-archive:tool.tar.gz
  ssh build podman save --format oci-archive os | store import --name os:4 oci-archive:-
  store import --name os:5 containers-storage:localhost/os
  store import --name base:1 tar:rootfs.tar.zst
  store import --dry-run oci:image            # how many bytes would be read?
  store import -v oci:image                   # where did the time go?
  store import --explain oci:image            # what is odd about its layers?")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Args {
    /// Where the image is: TRANSPORT:PLACE
    reference: String,
    /// What to call the image here [default: the reference]
    #[arg(long)]
    name: Option<String>,
    /// Which image of an index [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Leave so much of the file system free, as in 500M or 2GiB [default: 3 % of it, at most 1 GiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    min_free: Option<u64>,
    /// Take the image only if it, or the index that leads to it, has this digest
    #[arg(long, value_name = "DIGEST")]
    require_digest: Option<Digest>,
    /// Take the image only if its plain or bootable image has this id (store images prints them)
    #[arg(long, value_name = "ID", conflicts_with = "dry_run")]
    require_image_id: Option<ObjectId>,
    /// Read everything again, and replace objects that are damaged
    #[arg(long)]
    verify_existing: bool,
    /// What to do with layers that two readers could understand differently
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Oddities::Warn)]
    oddities: Oddities,
    /// Say what would be read, and store nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// List what was read otherwise than it is written, and what could be read in several ways
    #[arg(long, conflicts_with = "dry_run")]
    explain: bool,
    /// Say where the time went
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// `--oddities`.
#[derive(Clone, Copy, ValueEnum)]
enum Oddities {
    /// Refuse them
    Refuse,
    /// Read them as Go does, and warn
    Warn,
    /// The same, and resolve .. in names inside the root instead of refusing it
    Resolve,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let done = import(args, context);
    if let Err(error) = &done
        && args.explain
        && args.reporting.json
    {
        import_explain::refused(error, context)?;
    }
    done
}

fn import(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let reference: Reference = args.reference.parse()?;
    let name = name(args, &reference)?;
    let mut options = options(args);
    if !reference.is_standard_input() {
        options.origin = Some(source::absolute(reference.clone())?.to_string());
    }
    let repository =
        if args.dry_run { context.open_repository()? } else { context.open_repository_to_change()? };
    let what = || format!("import {}", escape(args.reference.as_bytes()));
    let source = source::open(&reference, &args.registry, &options, &repository, context)?;
    if args.dry_run {
        return super::import_plan::run(&repository, &*source, &options, args.reporting.json, context);
    }
    let start = Instant::now();
    let done = import_image(&repository, &*source, &name, &options, context.control()?).with_context(what)?;
    let seconds = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = document(&name, &done, seconds.as_secs_f64(), args.explain);
            return write_document(out, "sealstone.import/1", &document);
        }
        let summary = if is_all_present(&done) {
            format!("was there already, checked in {}", Elapsed(seconds))
        } else {
            format!("imported in {}", Elapsed(seconds))
        };
        writeln!(out, "{} {summary}", terminal.bold(&escape(name.as_bytes())))?;
        facts(&done, args.verbose).write(out, terminal)?;
        if done.report.layers.len() > 1 && !is_all_present(&done) {
            writeln!(out)?;
            layers(&done.report.layers).write(out, terminal)?;
        }
        if args.explain {
            return import_explain::write(&done.report, out, terminal);
        }
        let mark = terminal.warning("warning:");
        warnings(&done).try_for_each(|warning| writeln!(out, "{mark} {warning}"))
    })?;
    Ok(Exit::Done)
}

/// What to call the image: what comes through a pipe has no name that would be its own.
fn name(args: &Args, reference: &Reference) -> Result<String, StoreError> {
    match &args.name {
        Some(name) => Ok(name.clone()),
        None if reference.is_standard_input() && !args.dry_run => Err(StoreError::Invalid {
            what: "name of an image",
            value: reference.to_string(),
            reason: "what comes from the standard input needs one: --name NAME",
        }),
        None => Ok(reference.to_string()),
    }
}

fn options(args: &Args) -> ImportOptions {
    let mut options = ImportOptions::default();
    if let Some(platform) = &args.platform {
        options.platform = platform.clone();
    }
    options.limits = Limits::default();
    options.verify_existing = args.verify_existing;
    options.reserve = args.min_free.map_or_else(Reserve::default, Reserve::bytes);
    options.require_digest = args.require_digest;
    options.require_image = args.require_image_id;
    options.strictness = match args.oddities {
        Oddities::Refuse => Strictness::Strict,
        Oddities::Warn => Strictness::Normal,
        Oddities::Resolve => Strictness::Lenient,
    };
    options
}

/// Whether no layer was read, so that there is nothing to tell of them.
fn is_all_present(done: &ImportedImage) -> bool {
    done.report.layers.iter().all(|layer| layer.origin == LayerOrigin::Present)
}

fn facts(done: &ImportedImage, with_times: bool) -> Facts {
    let report = &done.report;
    let objects = |count, bytes| format!("{}, {}", plural(count, "object"), Bytes(bytes));
    let bootable = match &done.images.bootable {
        Ok(image) => image.to_string(),
        Err(NotBootable::NoKernel) => "no: it has no kernel".to_owned(),
        Err(NotBootable::Unfit(why)) => format!("no: {}", escape(why.as_bytes())),
        Err(_) => "no".to_owned(),
    };
    let made = if report.is_manifest_made { " (made here: the source has none)" } else { "" };
    let manifest = format!("{}{made}", done.manifest);
    let mut facts = Facts::new();
    facts.add("image", done.images.image).add("bootable", bootable).add("manifest", manifest);
    if !is_all_present(done) {
        facts
            .add("new", objects(report.new_objects(), report.new_bytes()))
            .add("shared", objects(report.shared_objects(), report.shared_bytes()));
        facts.add_some("fetched", fetched(&report.layers));
    }
    if with_times {
        let processors = report.processor_time;
        facts
            .add(
                "time",
                times(&[("layers", report.time), ("merge", done.merge_time), ("sync", done.commit_time)]),
            )
            .add(
                "processors",
                times(&[
                    ("read", processors.read),
                    ("decompress", processors.decompress),
                    ("digest", processors.digest),
                    ("write", processors.write),
                ]),
            );
    }
    facts
}

/// What came of the blobs, if there is more to say than their sizes: some came in part, or could have.
fn fetched(layers: &[LayerReport]) -> Option<String> {
    let of = |choose: fn(&LayerReport) -> bool| layers.iter().filter(move |layer| choose(layer));
    let partial = of(|layer| layer.is_partial).count() as u64;
    let reason = of(|layer| layer.whole_because.is_some()).find_map(|layer| layer.whole_because.as_deref());
    if partial == 0 && reason.is_none() {
        return None;
    }
    let fetched: u64 = layers.iter().map(|layer| layer.fetched_bytes).sum();
    let whole: u64 = of(|layer| layer.origin == LayerOrigin::Imported).map(|layer| layer.blob_bytes).sum();
    let mut text = format!("{} of {}", Bytes(fetched), Bytes(whole));
    if partial > 0 {
        let _ = write!(text, ", {} in part", plural(partial, "layer"));
    }
    if let Some(reason) = reason {
        let _ = write!(text, "; not in part: {}", escape(reason.as_bytes()));
    }
    Some(text)
}

/// `layers 1.2 s, merge 50 ms`.
fn times(parts: &[(&str, Duration)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(what, time)| format!("{what} {}", Elapsed(*time))).collect();
    parts.join(", ")
}

fn layers(reports: &[LayerReport]) -> Table {
    let mut table = Table::new()
        .left("LAYER")
        .left("")
        .right("BLOB")
        .right("NEW")
        .right("")
        .right("SHARED")
        .right("")
        .right("TIME");
    for layer in reports {
        let read = layer.origin != LayerOrigin::Present;
        let cell = |text: String| if read { text } else { String::new() };
        table.row([
            short_id(&layer.diff_id, false),
            origin(layer.origin).to_owned(),
            Bytes(layer.blob_bytes).to_string(),
            cell(Count(layer.new_objects).to_string()),
            cell(Bytes(layer.new_bytes).to_string()),
            cell(Count(layer.shared_objects).to_string()),
            cell(Bytes(layer.shared_bytes).to_string()),
            cell(Elapsed(layer.time).to_string()),
        ]);
    }
    table
}

/// What is odd, of documents and layers, each in one line.
fn warnings(done: &ImportedImage) -> impl Iterator<Item = String> {
    let of_layers = done.report.layers.iter().flat_map(|layer| layer.findings.list());
    let of_documents = done.report.warnings.iter().map(|warning| printable(warning));
    of_documents.chain(of_layers.map(|warning| printable(&warning.to_string())))
}

pub fn origin(origin: LayerOrigin) -> &'static str {
    match origin {
        LayerOrigin::Imported => "imported",
        LayerOrigin::Present => "present",
        LayerOrigin::Rebuilt => "rebuilt",
        _ => "other",
    }
}

/// The answer, `sealstone.import/1`.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    manifest: String,
    manifest_made: bool,
    config: String,
    image: String,
    profile: &'a str,
    bootable: Option<String>,
    layers: Vec<LayerDocument>,
    new_objects: u64,
    new_bytes: u64,
    shared_objects: u64,
    shared_bytes: u64,
    fetched_bytes: u64,
    layers_seconds: f64,
    merge_seconds: f64,
    sync_seconds: f64,
    seconds: f64,
    processor_seconds: ProcessorDocument,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Finding>>,
    /// Warnings beyond those that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings_omitted: Option<u64>,
}

/// Of the layers' stages, each summed over its threads.
#[derive(Serialize)]
struct ProcessorDocument {
    read: f64,
    decompress: f64,
    digest: f64,
    write: f64,
}

#[derive(Serialize)]
struct LayerDocument {
    diff_id: String,
    blob: String,
    blob_bytes: u64,
    fetched_bytes: u64,
    reused_bytes: u64,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_because: Option<String>,
    tar_bytes: u64,
    entries: u64,
    origin: &'static str,
    new_objects: u64,
    new_bytes: u64,
    shared_objects: u64,
    shared_bytes: u64,
    seconds: f64,
}

fn document<'a>(name: &'a str, done: &'a ImportedImage, seconds: f64, explain: bool) -> Document<'a> {
    let report = &done.report;
    Document {
        name,
        manifest: done.manifest.to_string(),
        manifest_made: report.is_manifest_made,
        config: done.config.to_string(),
        image: done.images.image.to_string(),
        profile: done.images.profile.name(),
        bootable: done.images.bootable.as_ref().ok().map(ToString::to_string),
        layers: report.layers.iter().map(layer_document).collect(),
        new_objects: report.new_objects(),
        new_bytes: report.new_bytes(),
        shared_objects: report.shared_objects(),
        shared_bytes: report.shared_bytes(),
        fetched_bytes: report.fetched_bytes(),
        layers_seconds: report.time.as_secs_f64(),
        merge_seconds: done.merge_time.as_secs_f64(),
        sync_seconds: done.commit_time.as_secs_f64(),
        seconds,
        processor_seconds: ProcessorDocument {
            read: report.processor_time.read.as_secs_f64(),
            decompress: report.processor_time.decompress.as_secs_f64(),
            digest: report.processor_time.digest.as_secs_f64(),
            write: report.processor_time.write.as_secs_f64(),
        },
        warnings: warnings(done).collect(),
        findings: explain.then(|| import_explain::findings(report)),
        findings_omitted: explain.then(|| import_explain::omitted(report)),
    }
}

fn layer_document(layer: &LayerReport) -> LayerDocument {
    LayerDocument {
        diff_id: layer.diff_id.to_string(),
        blob: layer.blob.to_string(),
        blob_bytes: layer.blob_bytes,
        fetched_bytes: layer.fetched_bytes,
        reused_bytes: layer.reused_bytes,
        partial: layer.is_partial,
        whole_because: layer.whole_because.clone(),
        tar_bytes: layer.tar_bytes,
        entries: layer.entries,
        origin: origin(layer.origin),
        new_objects: layer.new_objects,
        new_bytes: layer.new_bytes,
        shared_objects: layer.shared_objects,
        shared_bytes: layer.shared_bytes,
        seconds: layer.time.as_secs_f64(),
    }
}
