//! `store du [IMAGE]`: whose bytes are whose.

use sealstone::import::catalogue::Catalogue;
use sealstone::store::{Place, RefUsage, Usage};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::bar::bar;
use crate::output::{Bytes, Table, Terminal, escape, plural, write_document};

/// How wide bars are at most, and at least.
const BAR: std::ops::RangeInclusive<usize> = 10..=40;

/// Show which bytes are an image's own and which are shared
///
/// Own bytes are exactly what rm and gc would free. Shared bytes are kept by other names or deployments as well. Everything
/// counts: file bodies, the image itself, the layers' tars without their file bodies.
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
    own_bytes: u64,
    own_objects: u64,
    shared_bytes: u64,
    shared_objects: u64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let wanted = match &args.image {
        Some(image) => Catalogue::read(&repository)?.find(image)?.stored.map(|stored| stored.name),
        None => None,
    };
    let usage = repository.usage(context.control()?)?;
    let images: Vec<ImageDocument> = usage
        .refs
        .iter()
        .filter_map(document)
        .filter(|image| wanted.as_ref().is_none_or(|name| *name == image.name))
        .collect();
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
    let longest = images.iter().map(|image| image.name.len()).max().unwrap_or(0).min(32);
    // Name, two columns of sizes and the gaps take the rest of the line.
    let width = terminal.width().unwrap_or(80).saturating_sub(longest + 26).clamp(*BAR.start(), *BAR.end());
    let mut table = Table::new().left("NAME").elastic().right("OWN").right("SHARED").left("█ own  ░ shared");
    for image in images {
        table.row([
            escape(image.name.as_bytes()),
            Bytes(image.own_bytes).to_string(),
            Bytes(image.shared_bytes).to_string(),
            bar(image.own_bytes, image.shared_bytes, most, width, terminal),
        ]);
    }
    table
}

/// An imported image's usage; nothing for other refs.
fn document(usage: &RefUsage) -> Option<ImageDocument> {
    let name = usage.name.to_oci().filter(|_| usage.place == Place::Streams)?;
    // What a deployment keeps is shared with the image's own name: a row of its own would say nothing.
    if name.starts_with("localhost/bootc-") {
        return None;
    }
    Some(ImageDocument {
        name,
        own_bytes: usage.own_bytes,
        own_objects: usage.own_objects,
        shared_bytes: usage.shared_bytes,
        shared_objects: usage.shared_objects,
    })
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
