//! Bundles: an operating system image and the images that it binds in one layout, under one index.
//!
//! The index is an OCI index whose first entry is the system, so that any tool that chooses by platform finds that; the
//! others follow, each with annotations that say for whom it is. A manifest whose layers had to be compressed anew is
//! another than the one that was imported: then the index carries the one that was, so that it is back after an import, and
//! every digest that a unit names holds ([`Bundle`](crate::source::Bundle)).
//!
//! Invariant: the index comes last; until then the layout is what it was.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sealstone_store::{
    Control, Repository,
    disk::{Dir, Disk},
};
use serde_json::{Value, json};

use super::{
    ExportOptions, ExportReport, archive, layout,
    pack::Packed,
    refuse, run,
    sink::{Outgoing, Sink},
    tag,
};
use crate::{
    Digest, DigestAlgorithm, ManifestDigest,
    base64::encode_base64,
    error::{ImportError, Result},
    oci::{MediaType, Platform, Resolved, resolve},
    source::{
        BUNDLE_INDEX, BUNDLE_MANIFEST, BUNDLE_REFERENCE, BUNDLE_ROLE, BUNDLE_TARS, Reference, StoredImage,
    },
};

/// How far apart the places of the layers of two members are in an archive: more than any image has.
const PLACES: usize = 1 << 16;

/// An image that goes into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleMember {
    /// Its manifest in the repository.
    pub manifest: ManifestDigest,
    /// Whether it is the system, or bound to it.
    pub is_os: bool,
    /// The system's name, or the reference by which a unit names the image.
    pub reference: String,
    /// The index through which that reference leads to the manifest, if it names one by digest.
    pub index: Option<Vec<u8>>,
}

/// What went into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedBundle {
    /// The digest of the index.
    pub index: Digest,
    /// The members, in their order.
    pub members: Vec<ExportReport>,
}

/// Writes images as one bundle, `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. The first member is what tools find that know
/// nothing of bundles.
///
/// # Errors
/// As [`export`](super::export()).
pub fn export_bundle(
    repository: &Repository,
    members: &[BundleMember],
    disk: &Arc<dyn Disk>,
    target: &Reference,
    options: &ExportOptions,
    control: &Control,
) -> Result<ExportedBundle> {
    match target {
        Reference::Layout { path, choice } => {
            let sink = layout::LayoutSink::open(disk, path, tag(target, choice)?, &options.limits)?;
            send(repository, members, &sink, options, control)
        }
        Reference::Archive { path, choice } => {
            let sink = archive::ArchiveSink::open(disk, path, tag(target, choice)?)?;
            send(repository, members, &sink, options, control)
        }
        other => Err(refuse(other, "a bundle is exported to oci:DIR[:TAG] or oci-archive:FILE[:TAG]")),
    }
}

fn send(
    repository: &Repository,
    members: &[BundleMember],
    sink: &dyn Sink,
    options: &ExportOptions,
    control: &Control,
) -> Result<ExportedBundle> {
    let (mut entries, mut reports) = (Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        let stored = StoredImage::new(repository.clone(), member.manifest);
        let image = resolve(&stored, &Platform::native(), &options.limits)?;
        let sink = MemberSink { sink, first: number * PLACES, manifest: Mutex::default() };
        let report = run(repository, &member.manifest, &sink, options, control)?;
        let sent = sink.manifest.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some((media_type, size)) = sent else {
            return Err(ImportError::malformed(format!("manifest {}", member.manifest), "it was not sent"));
        };
        entries.push(entry(member, &image, &report, &media_type, size));
        reports.push(report);
    }
    let index_type = MediaType::Index.oci_name().unwrap_or_default();
    let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": entries });
    let bytes = index.to_string().into_bytes();
    if bytes.len() as u64 > options.limits.document_bytes {
        let what = format!("index of a bundle ({} bytes)", bytes.len());
        return Err(ImportError::TooBig { what, limit: options.limits.document_bytes });
    }
    let digest = Digest::of(DigestAlgorithm::Sha256, &bytes);
    sink.put_manifest(&Outgoing { media_type: index_type, digest, bytes: &bytes }, control)?;
    Ok(ExportedBundle { index: digest, members: reports })
}

/// A member's entry in the index.
fn entry(
    member: &BundleMember,
    image: &Resolved,
    report: &ExportReport,
    media_type: &str,
    size: usize,
) -> Value {
    let role = if member.is_os { "os" } else { "bound" };
    let mut annotations = BTreeMap::from([
        (BUNDLE_ROLE.to_owned(), role.to_owned()),
        (BUNDLE_REFERENCE.to_owned(), member.reference.clone()),
    ]);
    annotations.extend(member.index.iter().map(|bytes| (BUNDLE_INDEX.to_owned(), encode_base64(bytes))));
    if !report.is_same_manifest() {
        annotations.insert(BUNDLE_MANIFEST.to_owned(), encode_base64(&image.manifest_bytes));
        let tars: Vec<String> = report.layers.iter().map(|layer| layer.tar_bytes.to_string()).collect();
        annotations.insert(BUNDLE_TARS.to_owned(), tars.join(","));
    }
    let mut entry = json!({
        "mediaType": media_type, "digest": report.manifest.to_string(), "size": size, "annotations": annotations,
    });
    if let (Some(platform), Some(entry)) = (&image.config.platform, entry.as_object_mut()) {
        let mut value = json!({ "os": platform.os(), "architecture": platform.architecture() });
        if let (Some(variant), Some(value)) = (platform.variant(), value.as_object_mut()) {
            value.insert("variant".to_owned(), json!(variant));
        }
        entry.insert("platform".to_owned(), value);
    }
    entry
}

/// A member on its way: its manifest is a document like any other, which the index will name.
struct MemberSink<'a> {
    sink: &'a dyn Sink,
    /// The place of its first layer.
    first: usize,
    manifest: Mutex<Option<(String, usize)>>,
}

impl Sink for MemberSink<'_> {
    fn scratch(&self) -> &Dir {
        self.sink.scratch()
    }

    fn has(&self, digest: &Digest, size: u64, control: &Control) -> Result<bool> {
        self.sink.has(digest, size, control)
    }

    fn put_layer(&self, order: usize, blob: Packed, control: &Control) -> Result<()> {
        self.sink.put_layer(self.first + order, blob, control)
    }

    fn put_config(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()> {
        self.sink.put_config(digest, bytes, control)
    }

    fn put_manifest(&self, manifest: &Outgoing<'_>, control: &Control) -> Result<()> {
        self.sink.put_config(&manifest.digest, manifest.bytes, control)?;
        let sent = (manifest.media_type.to_owned(), manifest.bytes.len());
        *self.manifest.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
        Ok(())
    }
}
