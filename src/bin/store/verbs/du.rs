//! `store du [IMAGE]`: whose bytes are whose.

use sealstone::import::catalogue::{Catalogue, DEPLOYMENT_TAG, FoundImage};
use sealstone::store::{GroupUsage, Place, RefName, RefTarget, Usage};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::bar::bar;
use crate::output::{Bytes, Table, Terminal, escape, plural, write_document};

/// How wide bars are at most, and at least.
const BAR: std::ops::RangeInclusive<usize> = 10..=40;

/// What stands beside an image that is deployed.
const DEPLOYED: &str = "deployed";

/// Show which bytes are an image's own and which are shared
///
/// Own bytes are exactly what gc frees once all names of the image are removed, and its deployments are gone if it has any.
/// Shared bytes are other images' as well. Everything counts: file bodies, the image itself, the layers' tars without their
/// file bodies.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store du
  store du os:1
  store du --json | jq '.images[] | {name, own_bytes}'")]
pub struct Args {
    /// A name, a manifest digest or an image id [default: all]
    image: Option<String>,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.du/1`.
#[derive(Serialize)]
struct Document {
    images: Vec<ImageDocument>,
    total_bytes: u64,
    total_objects: u64,
    garbage_bytes: u64,
    garbage_objects: u64,
}

#[derive(Serialize)]
struct ImageDocument {
    name: String,
    other_names: Vec<String>,
    deployed: bool,
    own_bytes: u64,
    own_objects: u64,
    shared_bytes: u64,
    shared_objects: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let wanted = match &args.image {
        Some(image) => Some(Catalogue::read(&repository)?.find(image)?),
        None => None,
    };
    let usage = repository.usage(context.control()?)?;
    let is_wanted = |group: &&GroupUsage| wanted.as_ref().is_none_or(|image| is_of(group, image));
    let images: Vec<ImageDocument> = usage.groups.iter().filter(is_wanted).map(document).collect();
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.du/1", &whole(&usage, images));
        }
        table(&images, terminal).write(out, terminal)?;
        let garbage = match usage.garbage_bytes {
            0 => String::new(),
            bytes => format!("; {} more for store gc", Bytes(bytes)),
        };
        let total =
            format!("{} in {}{garbage}", Bytes(usage.live_bytes), plural(usage.live_objects, "object"));
        writeln!(out, "{}", terminal.dim(&total))
    })?;
    Ok(Exit::Done)
}

fn table(images: &[ImageDocument], terminal: Terminal) -> Table {
    let most =
        images.iter().map(|image| image.own_bytes.saturating_add(image.shared_bytes)).max().unwrap_or(0);
    let longest = images.iter().map(|image| names(image).len()).max().unwrap_or(0).min(32);
    let is_any_deployed = images.iter().any(|image| image.deployed);
    let mut table = Table::new().left("NAME").elastic();
    // Columns of sizes and the gaps, then that of deployments.
    let mut taken = longest + 26;
    if is_any_deployed {
        table = table.left("");
        taken += DEPLOYED.len() + 2;
    }
    let width = terminal.width().unwrap_or(80).saturating_sub(taken).clamp(*BAR.start(), *BAR.end());
    table = table.right("OWN").right("SHARED").left("█ own  ░ shared");
    for image in images {
        let mut row = vec![names(image)];
        if is_any_deployed {
            row.push(if image.deployed { DEPLOYED } else { "" }.to_owned());
        }
        row.push(Bytes(image.own_bytes).to_string());
        row.push(Bytes(image.shared_bytes).to_string());
        row.push(bar(image.own_bytes, image.shared_bytes, most, width, terminal));
        table.row(row);
    }
    table
}

/// All names that an image has.
fn names(image: &ImageDocument) -> String {
    let names: Vec<&str> =
        std::iter::once(&image.name).chain(&image.other_names).map(String::as_str).collect();
    escape(names.join(", ").as_bytes())
}

/// Whether the refs of a group keep the image.
fn is_of(group: &GroupUsage, image: &FoundImage) -> bool {
    match &image.stored {
        Some(stored) => {
            let has_name = |(place, name): &(Place, RefName)| {
                *place == Place::Streams && name.to_oci().as_ref() == Some(&stored.name)
            };
            group.refs.iter().any(has_name)
        }
        None => group.target == RefTarget::Image(image.image),
    }
}

/// A group's usage, under the names that its user gave, or that which keeps it for a deployment.
fn document(usage: &GroupUsage) -> ImageDocument {
    let (of_deployments, others): (Vec<_>, Vec<_>) =
        usage.refs.iter().partition(|(place, name)| is_of_deployment(*place, name));
    let mut names = others.iter().map(|(place, name)| shown(*place, name));
    let kept = of_deployments.first().map(|(place, name)| shown(*place, name));
    ImageDocument {
        name: names.next().or(kept).unwrap_or_default(),
        other_names: names.collect(),
        deployed: !of_deployments.is_empty(),
        own_bytes: usage.own_bytes,
        own_objects: usage.own_objects,
        shared_bytes: usage.shared_bytes,
        shared_objects: usage.shared_objects,
    }
}

/// Whether a ref is one of those that keep a deployment's image.
fn is_of_deployment(place: Place, name: &RefName) -> bool {
    match place {
        Place::Images => name.as_str().starts_with("sealstone/deployments/"),
        Place::Streams => name.to_oci().is_some_and(|name| name.starts_with(DEPLOYMENT_TAG)),
    }
}

/// An image's name as the user gave it; what a deployment keeps beside its image by the deployment; any other ref with its
/// folder.
fn shown(place: Place, name: &RefName) -> String {
    for (folder, what) in [("sealstone/bound/", "bound image"), ("sealstone/overlays/", "overlay")] {
        let kept = name.as_str().strip_prefix(folder).filter(|_| place == Place::Streams);
        if let Some((id, number)) = kept.and_then(|rest| rest.split_once('/')) {
            return format!("{what} {number} of {}", short_id(&id, false));
        }
    }
    match name.to_oci() {
        Some(name) if place == Place::Streams => name,
        _ => format!("{}/refs/{name}", place.folder()),
    }
}

fn whole(usage: &Usage, images: Vec<ImageDocument>) -> Document {
    Document {
        images,
        total_bytes: usage.live_bytes,
        total_objects: usage.live_objects,
        garbage_bytes: usage.garbage_bytes,
        garbage_objects: usage.garbage_objects,
    }
}
