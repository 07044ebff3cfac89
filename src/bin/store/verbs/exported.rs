//! What `export` and `push` have in common: the choice of a compression, and how what went out is shown.

use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use sealstone::import::export::{BlobFormat, BlobOrigin, ExportReport};
use serde::Serialize;

use crate::image::short_id;
use crate::output::{Bytes, Facts, Table, Terminal, plural};

/// `--compression`.
#[derive(clap::Args)]
pub struct FormatArg {
    /// What blobs of layers are made to be
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Compression::Same)]
    compression: Compression,
}

#[derive(Clone, Copy, ValueEnum)]
enum Compression {
    /// As the image's manifest says of each
    Same,
    /// The most compatible
    Gzip,
    /// Smaller and faster
    Zstd,
    /// zstd whose updates can be fetched in part
    #[value(name = "zstd:chunked")]
    ZstdChunked,
    /// Tars as they are
    None,
}

impl FormatArg {
    pub fn format(&self) -> Option<BlobFormat> {
        match self.compression {
            Compression::Same => None,
            Compression::Gzip => Some(BlobFormat::Gzip),
            Compression::Zstd => Some(BlobFormat::Zstd),
            Compression::ZstdChunked => Some(BlobFormat::ZstdChunked),
            Compression::None => Some(BlobFormat::Plain),
        }
    }
}

/// The answer, `sealstone.export/1` and `sealstone.push/1`.
#[derive(Serialize)]
pub struct Document<'a> {
    name: &'a str,
    target: &'a str,
    stored_manifest: String,
    manifest: String,
    same_manifest: bool,
    config: String,
    layers: Vec<LayerDocument>,
    seconds: f64,
}

#[derive(Serialize)]
struct LayerDocument {
    diff_id: String,
    blob: String,
    blob_bytes: u64,
    tar_bytes: u64,
    compression: &'static str,
    origin: &'static str,
}

pub fn document<'a>(name: &'a str, target: &'a str, report: &ExportReport, time: Duration) -> Document<'a> {
    let layers = report.layers.iter().map(|layer| LayerDocument {
        diff_id: layer.diff_id.to_string(),
        blob: layer.blob.to_string(),
        blob_bytes: layer.blob_bytes,
        tar_bytes: layer.tar_bytes,
        compression: layer.format.name(),
        origin: origin(layer.origin),
    });
    Document {
        name,
        target,
        stored_manifest: report.stored_manifest.to_string(),
        manifest: report.manifest.to_string(),
        same_manifest: report.is_same_manifest(),
        config: report.config.to_string(),
        layers: layers.collect(),
        seconds: time.as_secs_f64(),
    }
}

fn origin(origin: BlobOrigin) -> &'static str {
    match origin {
        BlobOrigin::Present => "present",
        BlobOrigin::Reproduced => "reproduced",
        BlobOrigin::Recompressed => "recompressed",
        _ => "other",
    }
}

/// For people: digests, layers, and whether the manifest is another, and why.
pub fn write(report: &ExportReport, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let mut facts = Facts::new();
    facts.add("manifest", report.manifest).add("config", report.config);
    facts.write(out, terminal)?;
    let mut table = Table::new().left("LAYER").left("").left("").right("BLOB");
    for layer in &report.layers {
        table.row([
            short_id(&layer.diff_id, false),
            origin(layer.origin).to_owned(),
            layer.format.to_string(),
            Bytes(layer.blob_bytes).to_string(),
        ]);
    }
    table.write(out, terminal)?;
    if report.is_same_manifest() {
        return writeln!(out, "the manifest is the one that was imported, byte for byte");
    }
    let layers = plural(report.recompressed().count() as u64, "layer");
    writeln!(
        out,
        "{} the manifest is not {}, which was imported:",
        terminal.warning("note:"),
        report.stored_manifest
    )?;
    writeln!(out, "      {layers} compressed anew; configuration and tars, and so the image id, are the same")
}
