//! `store inspect REFERENCE`: an image where it is, without importing it: from its documents alone.

use std::collections::BTreeMap;

use sealstone::import::source::Reference;
use sealstone::import::{Bootability, ImportOptions, PlannedLayer, SourceImage, look};
use sealstone::store::{Error as StoreError, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Facts, Table, escape, plural, printable, write_document};
use crate::registry::{self, RegistryArgs};
use crate::source;

/// The answer, `sealstone.inspect-source/1`.
#[derive(Serialize)]
struct Document {
    reference: String,
    platforms: Vec<PlatformDocument>,
    manifest: String,
    manifest_bytes: u64,
    config: String,
    config_bytes: u64,
    platform: Option<String>,
    created: Option<String>,
    labels: BTreeMap<String, String>,
    bootable: &'static str,
    bootable_reason: String,
    layers: Vec<LayerDocument>,
    bytes: u64,
    bytes_to_fetch: u64,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct PlatformDocument {
    platform: Option<String>,
    manifest: String,
}

#[derive(Serialize)]
struct LayerDocument {
    diff_id: String,
    blob: String,
    blob_bytes: u64,
    bytes_to_fetch: u64,
    present: bool,
}

pub fn run(
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    json: bool,
    context: &Context,
) -> anyhow::Result<Exit> {
    let (image, has_repository) = match context.open_repository() {
        Ok(repository) => (look_with(&repository, reference, args, options, context)?, true),
        // To look into a registry needs no repository.
        Err(error) => match (error.downcast_ref::<StoreError>(), reference) {
            (Some(StoreError::Missing { .. }), Reference::Registry(reference)) => {
                let source = registry::open(reference, args, &options.limits, context)?;
                (look(None, &source, options)?, false)
            }
            _ => return Err(error),
        },
    };
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.inspect-source/1", &document(reference, &image));
        }
        writeln!(out, "{}", terminal.bold(&escape(reference.to_string().as_bytes())))?;
        facts(&image).write(out, terminal)?;
        if !image.layers.is_empty() {
            writeln!(out)?;
            layers(&image.layers).write(out, terminal)?;
        }
        let absent = image.layers.iter().filter(|layer| !layer.is_present).count() as u64;
        let fetched = format!("{}, {}", plural(absent, "layer"), Bytes(image.bytes_to_fetch()));
        let place = if has_repository { "" } else { "there is no repository: " };
        writeln!(out, "{place}an import would fetch {fetched}")?;
        let mark = terminal.warning("warning:");
        image.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
    })?;
    Ok(Exit::Done)
}

fn look_with(
    repository: &Repository,
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    context: &Context,
) -> anyhow::Result<SourceImage> {
    let source = source::open(reference, args, options, repository, context)?;
    Ok(look(Some(repository), &*source, options)?)
}

/// The word for programs, and the sentence for people.
fn bootability(bootable: &Bootability) -> (&'static str, String) {
    match bootable {
        Bootability::Bootable => ("yes", "it was imported, and has a kernel".to_owned()),
        Bootability::NotBootable => {
            ("no", "it was imported, and has no kernel that can be booted".to_owned())
        }
        Bootability::Impossible(why) => ("no", escape(why.as_bytes())),
        Bootability::Claimed(label) => {
            ("claimed", format!("the label {label} says so; unknown until import"))
        }
        _ => {
            ("unknown", "unknown until import: no label says so, and the kernel is in the layers".to_owned())
        }
    }
}

fn facts(image: &SourceImage) -> Facts {
    let safe = |text: &String| escape(text.as_bytes());
    let mut facts = Facts::new();
    let (word, reason) = bootability(&image.bootable);
    facts
        .add("manifest", image.manifest)
        .add("config", image.config)
        .add_some("platform", image.platform.as_ref().map(|platform| safe(&platform.to_string())))
        .add_some("created", image.created.as_ref().map(safe))
        .add("bootable", if word == "unknown" { reason } else { format!("{word}: {reason}") })
        .add("layers", format!("{}, {} compressed", image.layers.len(), Bytes(image.bytes())));
    if image.offered.len() > 1 {
        let platform = |one: &sealstone::import::OfferedImage| {
            let platform = one.platform.as_ref().map_or_else(|| "(none)".to_owned(), ToString::to_string);
            format!("{}  {}", escape(platform.as_bytes()), one.manifest)
        };
        facts.add("platforms", image.offered.iter().map(platform).collect::<Vec<_>>().join("\n"));
    }
    if !image.labels.is_empty() {
        let label = |(name, value): (&String, &String)| format!("{}={}", safe(name), safe(value));
        facts.add("labels", image.labels.iter().map(label).collect::<Vec<_>>().join("\n"));
    }
    facts
}

fn layers(layers: &[PlannedLayer]) -> Table {
    let mut table = Table::new().left("LAYER").left("").right("BLOB");
    for layer in layers {
        let state = match layer {
            PlannedLayer { is_present: true, .. } => "present",
            PlannedLayer { is_partial: true, .. } => "to fetch in part",
            _ => "to fetch",
        };
        table.row([short_id(&layer.diff_id, false), state.to_owned(), Bytes(layer.blob_bytes).to_string()]);
    }
    table
}

fn document(reference: &Reference, image: &SourceImage) -> Document {
    let (bootable, bootable_reason) = bootability(&image.bootable);
    let platform = |one: &sealstone::import::OfferedImage| PlatformDocument {
        platform: one.platform.as_ref().map(ToString::to_string),
        manifest: one.manifest.to_string(),
    };
    let layer = |layer: &PlannedLayer| LayerDocument {
        diff_id: layer.diff_id.to_string(),
        blob: layer.blob.to_string(),
        blob_bytes: layer.blob_bytes,
        bytes_to_fetch: layer.bytes_to_fetch,
        present: layer.is_present,
    };
    Document {
        reference: reference.to_string(),
        platforms: image.offered.iter().map(platform).collect(),
        manifest: image.manifest.to_string(),
        manifest_bytes: image.manifest_bytes,
        config: image.config.to_string(),
        config_bytes: image.config_bytes,
        platform: image.platform.as_ref().map(ToString::to_string),
        created: image.created.clone(),
        labels: image.labels.clone(),
        bootable,
        bootable_reason,
        layers: image.layers.iter().map(layer).collect(),
        bytes: image.bytes(),
        bytes_to_fetch: image.bytes_to_fetch(),
        warnings: image.warnings.clone(),
    }
}
