//! `store bound list [IMAGE]`: the bound images of deployments, or of an image.

use sealstone::deploy::ImageId;
use sealstone::deploy::bound::{BoundCondition, BoundImage, bound_units, checked_bound_condition};
use sealstone::import::catalogue::Catalogue;
use sealstone::store::{Control, Repository};
use serde::Serialize;

use crate::args::Listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::{read_tree, short_id};
use crate::output::{Bytes, Table, Terminal, escape, write_document};
use crate::target::TargetArgs;

/// List the bound images of the deployments, or of an image
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bound list
  store bound list --sysroot /mnt --json
  store bound list os:1")]
pub struct Args {
    /// An image of the repository: a name, a manifest digest or an image id
    image: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    listing: Listing,
}

/// The answer, `sealstone.bound-list/1`.
#[derive(Serialize)]
struct Document {
    lists: Vec<List>,
}

/// What one deployment or image binds.
#[derive(Serialize)]
struct List {
    deployment: Option<String>,
    image: String,
    condition: Option<BoundCondition>,
    images: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    unit: String,
    reference: Option<String>,
    manifest: Option<String>,
    config: Option<String>,
    bytes: Option<u64>,
    stored: Option<bool>,
    problem: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let lists = match &args.image {
        Some(name) => vec![of_image(&context.open_repository()?, name)?],
        None => of_deployments(args, context)?,
    };
    let is_good = lists.iter().all(|list| {
        let complete = list.condition.as_ref().is_none_or(BoundCondition::is_complete);
        complete && list.images.iter().all(|row| row.problem.is_none())
    });
    context.print(|out, terminal| {
        if args.listing.json {
            return write_document(out, "sealstone.bound-list/1", &Document { lists });
        }
        if lists.iter().all(|list| list.images.is_empty()) {
            return writeln!(out, "nothing is bound");
        }
        table(&lists, args.listing.no_trunc, terminal).write(out, terminal)
    })?;
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

fn of_image(repository: &Repository, name: &str) -> anyhow::Result<List> {
    let found = Catalogue::read(repository)?.find(name)?;
    let tree = read_tree(repository, ImageId::new(found.image).object())?;
    let row = |unit| match unit {
        Ok(sealstone::deploy::bound::BoundRef { unit, reference, .. }) => {
            Row { unit, reference: Some(reference), ..Row::empty() }
        }
        Err(sealstone::deploy::bound::UnitFault { unit, reason }) => {
            Row { unit, problem: Some(reason), ..Row::empty() }
        }
    };
    let images = bound_units(repository, &tree)?.into_iter().map(row).collect();
    Ok(List { deployment: None, image: name.to_owned(), condition: None, images })
}

fn of_deployments(args: &Args, context: &Context) -> anyhow::Result<Vec<List>> {
    let target = args.target.open(context)?;
    let control = context.control()?;
    let (records, _) = target.sysroot.records()?;
    let mut lists = Vec::new();
    for record in records {
        let images = record.bound.iter().map(|image| row(image, &target.repository, control));
        lists.push(List {
            deployment: Some(record.id.to_string()),
            image: record.image.reference.clone(),
            condition: checked_bound_condition(&target.sysroot, &target.repository, &record, control)?,
            images: images.collect::<anyhow::Result<_>>()?,
        });
    }
    Ok(lists)
}

fn row(image: &BoundImage, repository: &Repository, control: &Control) -> anyhow::Result<Row> {
    Ok(Row {
        unit: image.unit.clone(),
        reference: Some(image.reference.clone()),
        manifest: Some(image.manifest.to_string()),
        config: Some(image.config.to_string()),
        bytes: image.bytes,
        stored: Some(image.is_stored(repository)? && image.lost_objects(repository, control)? == 0),
        problem: None,
    })
}

impl Row {
    const fn empty() -> Self {
        let unit = String::new();
        Self { unit, reference: None, manifest: None, config: None, bytes: None, stored: None, problem: None }
    }
}

fn table(lists: &[List], whole: bool, terminal: Terminal) -> Table {
    let mut table = Table::new()
        .left("OF")
        .left("UNIT")
        .left("REFERENCE")
        .elastic()
        .left("MANIFEST")
        .right("SIZE")
        .left("");
    for list in lists {
        let of =
            list.deployment.as_ref().map_or_else(|| escape(list.image.as_bytes()), |id| short_id(id, whole));
        for row in &list.images {
            let state = match (&row.problem, row.stored, &list.condition) {
                (Some(problem), ..) => terminal.bad(&escape(problem.as_bytes())),
                (_, Some(false), _) => terminal.bad("missing"),
                (_, Some(true), Some(BoundCondition::Missing(_))) => terminal.warning("incomplete"),
                (_, Some(true), _) => terminal.good("complete"),
                _ => String::new(),
            };
            let manifest = row.manifest.as_ref().map(|digest| short_id(digest, whole));
            let size = row.bytes.map(|bytes| Bytes(bytes).to_string());
            table.row([
                of.clone(),
                escape(row.unit.as_bytes()),
                escape(row.reference.as_deref().unwrap_or_default().as_bytes()),
                manifest.unwrap_or_default(),
                size.unwrap_or_default(),
                state,
            ]);
        }
    }
    table
}
