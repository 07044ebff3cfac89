//! `store bound annotate IMAGE TARGET`: writes into an image's manifest what the image binds.

use anyhow::bail;
use sealstone::deploy::bound::{BOUND_ANNOTATION, KnownBound, annotation_of};
use sealstone::deploy::{ImageId, ImageTrees};
use sealstone::import::export::annotate;
use sealstone::import::source::Reference;
use sealstone::import::{ImportOptions, Limits, ManifestDigest};
use sealstone::store::disk::RealDisk;
use serde::Serialize;

use crate::args::Reporting;
use crate::bound;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::stored_image;
use crate::output::{escape, plural, write_document};
use crate::registry::RegistryArgs;

/// Write digests and sizes of bound images into a manifest, for `update --check` to tell before anything is fetched
///
/// IMAGE is in the repository; TARGET is an OCI layout that has the same image, as `store export` writes it. Its manifest is
/// made anew with the annotation org.sealstone.bound-images, and has another digest; push the layout afterwards.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store export os:1 oci:image:1
  store bound annotate os:1 oci:image:1
  skopeo copy oci:image:1 docker://registry.example/os:1")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    // An attribute, not a comment: rustdoc would read the brackets as a link.
    #[arg(value_name = "TARGET", help = "The layout: oci:DIR[:TAG]")]
    target: String,
    /// Say what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.bound-annotate/1`.
#[derive(Serialize)]
struct Document<'a> {
    image: &'a str,
    target: &'a str,
    dry_run: bool,
    bound: usize,
    annotation: &'a str,
    manifest: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target: Reference = args.target.parse()?;
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, &args.image)?;
    let Ok(documents) = &stored.content else { bail!("{} is damaged", escape(stored.name.as_bytes())) };
    let Some(image) = documents.image else {
        bail!("{} was not imported to its end", escape(stored.name.as_bytes()))
    };
    let image = ImageId::new(image);
    let prepared = bound::prepare(
        (&repository, &ImageTrees::default()),
        (&image, &stored.manifest),
        KnownBound::default(),
        (&args.registry, &ImportOptions::default()),
        true,
        context,
    )?;
    let annotation = annotation_of(&prepared.images);
    let manifest: Option<ManifestDigest> = if args.dry_run {
        None
    } else {
        let annotation = (BOUND_ANNOTATION, annotation.as_str());
        let (disk, limits) = (RealDisk::shared(), Limits::default());
        Some(annotate(&disk, &target, &documents.config, annotation, &limits, context.control()?)?)
    };
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = Document {
                image: &stored.name,
                target: &args.target,
                dry_run: args.dry_run,
                bound: prepared.images.len(),
                annotation: &annotation,
                manifest: manifest.map(|digest| digest.to_string()),
            };
            return write_document(out, "sealstone.bound-annotate/1", &document);
        }
        let count = plural(prepared.images.len() as u64, "bound image");
        match manifest {
            None => writeln!(out, "would write {count}: {annotation}"),
            Some(digest) => {
                let target = terminal.bold(&escape(args.target.as_bytes()));
                writeln!(out, "{target} names {count}; its manifest is {digest} now")
            }
        }
    })?;
    Ok(Exit::Done)
}
