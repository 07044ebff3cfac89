//! `store import --explain`: what of an image was read otherwise than it is written, what could be read in several ways,
//! and why it was refused, if it was.
//!
//! The names of kinds are the libraries' and stay the same; docs/cli.md lists them.

use std::io::{self, Write};

use sealstone::deploy::DeployError;
use sealstone::import::decompress::DecodeError;
use sealstone::import::{ImportError, ImportReport, LayerOrigin, LayerReport};
use serde::Serialize;

use crate::context::Context;
use crate::image::short_id;
use crate::output::{Count, Table, Terminal, escape, plural, printable, write_document};

/// One thing to tell.
#[derive(Serialize)]
pub struct Finding {
    /// The layer's diff_id; none for the image's documents.
    layer: Option<String>,
    /// `normalised` or `accepted`.
    verdict: &'static str,
    kind: &'static str,
    count: u64,
    /// The first places.
    paths: Vec<String>,
    reason: String,
}

/// All there is to tell of an import.
pub fn findings(report: &ImportReport) -> Vec<Finding> {
    let of_documents = report.warnings.iter().map(|warning| Finding {
        layer: None,
        verdict: "accepted",
        kind: "document",
        count: 1,
        paths: Vec::new(),
        reason: printable(warning),
    });
    of_documents.chain(report.layers.iter().flat_map(of_layer)).collect()
}

fn of_layer(layer: &LayerReport) -> impl Iterator<Item = Finding> {
    let diff_id = layer.diff_id.to_string();
    let accepted = layer.findings.list().iter().map({
        let diff_id = diff_id.clone();
        move |warning| Finding {
            layer: Some(diff_id.clone()),
            verdict: "accepted",
            kind: warning.name(),
            count: 1,
            paths: warning.path().map(escape).into_iter().collect(),
            reason: printable(&warning.to_string()),
        }
    });
    let normalised = layer.findings.notes().iter().map(move |(what, tally)| Finding {
        layer: Some(diff_id.clone()),
        verdict: "normalised",
        kind: what.name(),
        count: tally.count(),
        paths: tally.first().iter().map(|path| escape(path)).collect(),
        reason: what.rule().to_owned(),
    });
    accepted.chain(normalised)
}

/// How many warnings there were beyond those that are kept.
pub fn omitted(report: &ImportReport) -> u64 {
    report.layers.iter().map(|layer| layer.findings.dropped()).sum()
}

/// Writes the findings as a table.
pub fn write(report: &ImportReport, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let findings = findings(report);
    let mut table = Table::new()
        .left("LAYER")
        .left("VERDICT")
        .left("KIND")
        .right("COUNT")
        .left("FIRST AT")
        .left("WHY")
        .elastic();
    for finding in &findings {
        table.row([
            finding.layer.as_ref().map_or_else(|| "documents".to_owned(), |layer| short_id(layer, false)),
            finding.verdict.to_owned(),
            finding.kind.to_owned(),
            Count(finding.count).to_string(),
            finding.paths.first().cloned().unwrap_or_default(),
            finding.reason.clone(),
        ]);
    }
    writeln!(out)?;
    table.write(out, terminal)?;
    if findings.is_empty() {
        writeln!(out, "nothing was read otherwise than it is written")?;
    }
    match omitted(report) {
        0 => {}
        more => writeln!(out, "and {} more", Count(more))?,
    }
    let unread = report.layers.iter().filter(|layer| layer.origin == LayerOrigin::Present).count() as u64;
    if unread > 0 {
        let layers = plural(unread, "layer");
        writeln!(out, "not read: {layers} that the repository has; --verify-existing reads everything")?;
    }
    Ok(())
}

/// Why an image was refused, `sealstone.import-refusal/1`.
#[derive(Serialize, Default)]
struct Refusal {
    error: &'static str,
    rule: Option<&'static str>,
    layer: Option<String>,
    path: Option<String>,
    offset: Option<u64>,
    reason: String,
}

/// Writes why an import failed as a document. The message and the exit code come as always.
pub fn refused(error: &anyhow::Error, context: &Context) -> anyhow::Result<()> {
    let reason = printable(&crate::failure::message(error));
    let cause = error.chain().find_map(|cause| {
        let of_deploy = cause.downcast_ref::<DeployError>().and_then(|error| match error {
            DeployError::Import(error) => Some(error),
            _ => None,
        });
        cause.downcast_ref::<ImportError>().or(of_deploy)
    });
    let is_merge = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(DeployError::Layer { .. } | DeployError::TooBig { .. }))
    });
    let of_others = || Refusal { error: if is_merge { "merge" } else { "other" }, ..Refusal::default() };
    let refusal = cause.map_or_else(of_others, of_import);
    context.print(|out, _| write_document(out, "sealstone.import-refusal/1", &Refusal { reason, ..refusal }))
}

fn of_import(error: &ImportError) -> Refusal {
    let kind = match error {
        ImportError::Reference { .. } => "reference",
        ImportError::Missing { .. } | ImportError::UnknownImage { .. } => "missing",
        ImportError::Ambiguous { .. } => "ambiguous",
        ImportError::NoPlatform { .. } => "no-platform",
        ImportError::Malformed { .. } => "malformed",
        ImportError::Unsupported { .. } => "unsupported",
        ImportError::Digest { .. } => "digest",
        ImportError::Size { .. } => "size",
        ImportError::TooBig { .. } => "too-big",
        ImportError::NoSpace { .. } => "no-space",
        ImportError::Store(_) => "store",
        ImportError::Decode { source, .. } => {
            return Refusal { error: "decode", rule: Some(decode_rule(source)), ..Refusal::default() };
        }
        ImportError::Refused { layer, source } => {
            return Refusal {
                error: "layer",
                rule: Some(source.reason().kind()),
                layer: Some(layer.clone()),
                path: Some(escape(source.path())),
                offset: Some(source.offset()),
                ..Refusal::default()
            };
        }
        _ => "other",
    };
    Refusal { error: kind, ..Refusal::default() }
}

const fn decode_rule(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Damaged { .. } => "damaged",
        DecodeError::Truncated(_) => "truncated",
        DecodeError::Trailing(_) => "trailing",
        DecodeError::Unsupported(_) => "unsupported",
        DecodeError::TooLong(_) => "too-long",
        DecodeError::Ratio(_) => "ratio",
        DecodeError::Window { .. } => "window",
        _ => "other",
    }
}
