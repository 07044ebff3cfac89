//! `store import --dry-run`: which layers are there, and how many bytes would be read.

use sealstone::import::source::Source;
use sealstone::import::{ImportOptions, PlannedLayer, plan_import};
use sealstone::store::Repository;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Table, plural, write_document};

/// The answer, `sealstone.import-plan/1`.
#[derive(Serialize)]
struct Document {
    manifest: String,
    layers: Vec<LayerDocument>,
    bytes_to_read: u64,
}

#[derive(Serialize)]
struct LayerDocument {
    diff_id: String,
    blob: String,
    blob_bytes: u64,
    bytes_to_fetch: u64,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_because: Option<String>,
    present: bool,
}

pub fn run(
    repository: &Repository,
    source: &dyn Source,
    options: &ImportOptions,
    json: bool,
    context: &Context,
) -> anyhow::Result<Exit> {
    let plan = plan_import(repository, source, options)?;
    context.print(|out, terminal| {
        if json {
            let layers = plan.layers.iter().map(layer_document).collect();
            let manifest = plan.manifest.to_string();
            let document = Document { manifest, layers, bytes_to_read: plan.bytes_to_read() };
            return write_document(out, "sealstone.import-plan/1", &document);
        }
        let mut table = Table::new().left("LAYER").left("").right("BLOB").right("TO FETCH");
        for layer in &plan.layers {
            let state = match (layer.is_present, layer.is_partial) {
                (true, _) => "present",
                (false, true) => "in part",
                (false, false) => "to import",
            };
            table.row([
                short_id(&layer.diff_id, false),
                state.to_owned(),
                Bytes(layer.blob_bytes).to_string(),
                Bytes(layer.bytes_to_fetch).to_string(),
            ]);
        }
        table.write(out, terminal)?;
        let absent = plan.layers.iter().filter(|layer| !layer.is_present).count() as u64;
        writeln!(out, "would read {}, {}", plural(absent, "layer"), Bytes(plan.bytes_to_read()))
    })?;
    Ok(Exit::Done)
}

fn layer_document(layer: &PlannedLayer) -> LayerDocument {
    LayerDocument {
        diff_id: layer.diff_id.to_string(),
        blob: layer.blob.to_string(),
        blob_bytes: layer.blob_bytes,
        bytes_to_fetch: layer.bytes_to_fetch,
        partial: layer.is_partial,
        whole_because: layer.whole_because.clone(),
        present: layer.is_present,
    }
}
