//! `store bundle export IMAGE TARGET`: a system and its bound images as one layout.

use std::time::Instant;

use anyhow::{Context as _, bail};
use sealstone::deploy::bound::{BoundImage, BoundReference, KnownBound};
use sealstone::deploy::{ImageId, ImageTrees, bundle_index, export_bundle};
use sealstone::import::ImportOptions;
use sealstone::import::export::{ExportOptions, ExportReport, ExportedBundle};
use sealstone::import::source::Reference;
use sealstone::store::Repository;
use sealstone::store::disk::RealDisk;
use serde::Serialize;

use crate::args::Reporting;
use crate::bound;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::{short_id, stored_image};
use crate::output::{Bytes, Elapsed, Table, escape, write_document};
use crate::registry::RegistryArgs;

use super::exported::FormatArg;

/// Write a system and its bound images as one OCI layout or archive
///
/// Bound images are resolved and fetched as for a deployment. The manifests that they have here are those that they have after
/// an import of the bundle, also where layers are compressed anew: `store export` says which can be.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bundle export os:1 oci:bundle:1
  store bundle export os:1 oci-archive:bundle.tar:1
  skopeo copy --all oci:bundle:1 docker://mirror.example/os:1")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    /// Where to: oci:DIR or oci-archive:FILE, each with :TAG or without
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    format: FormatArg,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.bundle-export/1`.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    target: &'a str,
    index: String,
    members: Vec<Member<'a>>,
    seconds: f64,
}

#[derive(Serialize)]
struct Member<'a> {
    reference: &'a str,
    stored_manifest: String,
    manifest: String,
    same_manifest: bool,
    bytes: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target: Reference = args.target.parse()?;
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, &args.image)?;
    let image = stored.content.as_ref().ok().and_then(|content| content.image);
    let Some(image) = image else { bail!("{} was not imported to its end", escape(stored.name.as_bytes())) };
    let start = Instant::now();
    let image = ImageId::new(image);
    let prepared = bound::prepare(
        (&repository, &ImageTrees::default()),
        (&image, &stored.manifest),
        KnownBound::default(),
        (&args.registry, &ImportOptions::default()),
        false,
        context,
    )?;
    let members = with_indexes(&prepared.images, args, &repository, context)?;
    let mut options = ExportOptions::default();
    options.format = args.format.format();
    let os = (stored.name.as_str(), &stored.manifest);
    let what = || format!("export {} to {}", escape(stored.name.as_bytes()), escape(args.target.as_bytes()));
    let control = context.control()?;
    let done = export_bundle(&repository, os, &members, &RealDisk::shared(), &target, &options, control)
        .with_context(what)?;
    let time = start.elapsed();
    let names: Vec<&str> = done.references.iter().map(String::as_str).collect();
    context.print(|out, terminal| {
        if args.reporting.json {
            let members = rows(&done.bundle, &names).collect();
            let (name, target, index) = (&stored.name, &args.target, done.bundle.index.to_string());
            let document = Document { name, target, index, members, seconds: time.as_secs_f64() };
            return write_document(out, "sealstone.bundle-export/1", &document);
        }
        let name = terminal.bold(&escape(args.target.as_bytes()));
        writeln!(out, "{name} exported in {}, index {}", Elapsed(time), done.bundle.index)?;
        let mut table = Table::new().left("IMAGE").elastic().left("MANIFEST").right("SIZE").left("");
        for row in rows(&done.bundle, &names) {
            let how = if row.same_manifest { "" } else { "compressed anew" };
            table.row([
                escape(row.reference.as_bytes()),
                short_id(&row.stored_manifest, false),
                Bytes(row.bytes).to_string(),
                how.to_owned(),
            ]);
        }
        table.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn rows<'a>(bundle: &'a ExportedBundle, names: &'a [&'a str]) -> impl Iterator<Item = Member<'a>> {
    bundle.members.iter().zip(names).map(|(report, reference): (&ExportReport, _)| Member {
        reference,
        stored_manifest: report.stored_manifest.to_string(),
        manifest: report.manifest.to_string(),
        same_manifest: report.is_same_manifest(),
        bytes: report.layers.iter().map(|layer| layer.blob_bytes).sum(),
    })
}

/// The indexes through which references by digest lead to the images: they go along, so that the digests hold there.
fn with_indexes(
    images: &[BoundImage],
    args: &Args,
    repository: &Repository,
    context: &Context,
) -> anyhow::Result<Vec<(BoundImage, Option<Vec<u8>>)>> {
    let options = ImportOptions::default();
    let opener = bound::opener(&args.registry, &options, repository, context);
    let mut all = Vec::new();
    for image in images {
        let reference: Result<BoundReference, String> = image.reference.parse();
        let digest = reference.as_ref().ok().and_then(BoundReference::digest);
        let index = match (&reference, digest) {
            (Ok(reference), Some(digest)) if digest != image.manifest.digest() => {
                bundle_index(&*opener(reference)?, &options.limits)?
            }
            _ => None,
        };
        all.push((image.clone(), index));
    }
    Ok(all)
}
