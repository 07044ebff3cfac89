//! `store bundle import REFERENCE`: a system and its bound images, without any other registry.

use std::time::Instant;

use anyhow::Context as _;
use sealstone::deploy::{ImportedBundle, import_bundle};
use sealstone::import::source::Reference;
use sealstone::import::{Digest, ImportOptions};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Elapsed, Facts, escape, plural, write_document};
use crate::registry::RegistryArgs;
use crate::source;

/// Import a bundle: its bound images, then the system
///
/// A deployment of the system takes the images from here then, and asks no registry. They stay as long as the system's name
/// does, or a deployment refers to them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bundle import oci-archive:bundle.tar
  store bundle import --name os:1 oci:/mnt/usb/bundle:1
  store bundle import docker://mirror.example/os:1")]
pub struct Args {
    /// Where the bundle is: TRANSPORT:PLACE
    reference: String,
    /// What to call the system here [default: as where the bundle was made]
    #[arg(long)]
    name: Option<String>,
    /// Take the system only if its manifest has this digest
    #[arg(long, value_name = "DIGEST")]
    require_digest: Option<Digest>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.bundle-import/1`.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    manifest: String,
    image: String,
    bootable: Option<String>,
    bound: Vec<Bound<'a>>,
    seconds: f64,
}

#[derive(Serialize)]
struct Bound<'a> {
    reference: &'a str,
    manifest: String,
    new_objects: u64,
    new_bytes: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let reference: Reference = args.reference.parse()?;
    let repository = context.open_repository_to_change()?;
    let mut options = ImportOptions::default();
    options.require_digest = args.require_digest;
    let source = source::open(&reference, &args.registry, &options, &repository, context)?;
    let start = Instant::now();
    let what = || format!("import the bundle {}", escape(args.reference.as_bytes()));
    let done = import_bundle(&repository, &*source, args.name.as_deref(), &options, context.control()?)
        .with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.bundle-import/1", &document(&done, time.as_secs_f64()));
        }
        writeln!(out, "{} imported in {}", terminal.bold(&escape(done.name.as_bytes())), Elapsed(time))?;
        let mut facts = Facts::new();
        facts
            .add("manifest", done.os.manifest)
            .add("image", done.os.images.image)
            .add_some("bootable", done.os.images.bootable.as_ref().ok())
            .add("bound", plural(done.bound.len() as u64, "image"));
        facts.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn document(done: &ImportedBundle, seconds: f64) -> Document<'_> {
    let bound = done.bound.iter().map(|(reference, manifest, report)| Bound {
        reference,
        manifest: manifest.to_string(),
        new_objects: report.new_objects(),
        new_bytes: report.new_bytes(),
    });
    Document {
        name: &done.name,
        manifest: done.os.manifest.to_string(),
        image: done.os.images.image.to_string(),
        bootable: done.os.images.bootable.as_ref().ok().map(ToString::to_string),
        bound: bound.collect(),
        seconds,
    }
}
