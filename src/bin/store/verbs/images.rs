//! `store images`: the imported images, by name.

use sealstone::import::catalogue::{Catalogue, ImageContent, NamedImage};
use serde::Serialize;

use crate::args::Listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Table, escape, printable, write_document};

/// List the images
///
/// Names by which deployments keep their images are left out, unless --all is given.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store images
  store images --json | jq -r '.images[].image'")]
pub struct Args {
    /// List the names by which deployments keep their images as well
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    listing: Listing,
}

/// The answer, `sealstone.images/1`.
#[derive(Serialize)]
struct Document {
    images: Vec<ImageDocument>,
}

#[derive(Serialize)]
struct ImageDocument {
    name: String,
    manifest: String,
    image: Option<String>,
    bootable: Option<String>,
    layers: usize,
    platform: Option<String>,
    created: Option<String>,
    problem: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let catalogue = Catalogue::read(&repository)?;
    let images = || catalogue.images().iter().filter(|image| args.all || !image.is_kept_by_deployment());
    context.print(|out, terminal| {
        if args.listing.json {
            let images = images().map(document).collect();
            return write_document(out, "sealstone.images/1", &Document { images });
        }
        let mut table = Table::new().left("NAME").elastic();
        table = table.left("IMAGE").left("BOOTABLE").left("MANIFEST").right("LAYERS").left("CREATED");
        for image in images() {
            table.row(row(image, args.listing.no_trunc));
        }
        table.write(out, terminal)?;
        for image in images() {
            if let Err(problem) = &image.content {
                let name = escape(image.name.as_bytes());
                writeln!(out, "{} {name}: {}", terminal.bad("damaged:"), printable(problem))?;
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn row(image: &NamedImage, whole: bool) -> [String; 6] {
    let content = image.content.as_ref().ok();
    let id = |id: Option<_>| id.map_or_else(|| "-".to_owned(), |id| short_id(&id, whole));
    // RFC 3339: the day is its first ten characters.
    let created = content
        .and_then(|content| content.created.as_deref())
        .map_or("-", |time| time.get(..10).unwrap_or(time));
    [
        escape(image.name.as_bytes()),
        id(content.and_then(|content| content.image)),
        id(content.and_then(|content| content.bootable)),
        short_id(&image.manifest, whole),
        content.map_or_else(|| "-".to_owned(), |content| content.diff_ids.len().to_string()),
        escape(created.as_bytes()),
    ]
}

fn document(image: &NamedImage) -> ImageDocument {
    let content = image.content.as_ref().ok();
    let id = |pick: fn(&ImageContent) -> Option<_>| {
        content.and_then(pick).map(|id: sealstone::store::ObjectId| id.to_string())
    };
    ImageDocument {
        name: image.name.clone(),
        manifest: image.manifest.to_string(),
        image: id(|content| content.image),
        bootable: id(|content| content.bootable),
        layers: content.map_or(0, |content| content.diff_ids.len()),
        platform: content.and_then(|content| content.platform.as_ref()).map(ToString::to_string),
        created: content.and_then(|content| content.created.clone()),
        problem: image.content.as_ref().err().cloned(),
    }
}
