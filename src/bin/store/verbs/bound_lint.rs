//! `store bound lint IMAGE`: what is wrong with the images that an image binds.

use sealstone::deploy::bound::{BoundFinding, BoundRef, UnitFault, bound_units, lint_bound};
use sealstone::deploy::merge;
use sealstone::import::catalogue::Catalogue;
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::import::{ImportOptions, import_layers};
use sealstone::store::Repository;
use serde::Serialize;

use crate::args::Reporting;
use crate::bound;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::read_tree;
use crate::output::{escape, plural, write_document};
use crate::registry::RegistryArgs;
use crate::source;

/// Check the images that an image binds: units, floating tags, platforms
///
/// Asks the registries for the documents of each, and fetches none. Exits with 1 if there is anything to tell.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bound lint os:1
  store bound lint oci:image                # its layers are read, and nothing is named
  store bound lint --platform linux/arm64 os:1
  store bound lint --allow-tags os:1        # floating tags are meant")]
pub struct Args {
    /// An image of the repository, or a REFERENCE (docs/cli.md)
    image: String,
    /// The platform that the bound images have to be for [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Say nothing about tags without digests
    #[arg(long)]
    allow_tags: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.bound-lint/1`.
#[derive(Serialize)]
struct Document<'a> {
    image: &'a str,
    units: usize,
    findings: &'a [BoundFinding],
}

type Units = Vec<Result<BoundRef, UnitFault>>;

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let mut options = ImportOptions::default();
    if let Some(platform) = &args.platform {
        options.platform = platform.clone();
    }
    let units = match Catalogue::read(&repository)?.find(&args.image) {
        Ok(found) => bound_units(&repository, &read_tree(&repository, &found.image)?)?,
        Err(unknown) => match args.image.parse() {
            Ok(reference) => of_source(&reference, args, &options, &repository, context)?,
            Err(_) => return Err(unknown.into()),
        },
    };
    let opener = bound::opener(&args.registry, &options, &repository, context);
    let mut findings = lint_bound(&repository, &units, &opener, &options, context.control()?)?;
    if args.allow_tags {
        findings.retain(|finding| finding.kind != sealstone::deploy::bound::BoundFindingKind::FloatingTag);
    }
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = Document { image: &args.image, units: units.len(), findings: &findings };
            return write_document(out, "sealstone.bound-lint/1", &document);
        }
        for finding in &findings {
            let unit = terminal.bold(&escape(finding.unit.as_bytes()));
            writeln!(out, "{unit}: {}", escape(finding.message.as_bytes()))?;
        }
        if findings.is_empty() {
            writeln!(out, "{}, nothing wrong", plural(units.len() as u64, "unit"))?;
        }
        Ok(())
    })?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The units of an image that is not in the repository. What is read of it has no name, and goes with the next gc.
fn of_source(
    reference: &Reference,
    args: &Args,
    options: &ImportOptions,
    repository: &Repository,
    context: &Context,
) -> anyhow::Result<Units> {
    let source = source::open(reference, &args.registry, options, repository, context)?;
    let transaction = repository.transaction()?;
    let imported = import_layers(&transaction, &*source, options, context.control()?)?;
    Ok(bound_units(repository, &merge(&imported.layers()?)?)?)
}
