//! The way out: images of the store as OCI layouts and archives, and what a push shares with that.
//!
//! The store keeps an image's manifest and configuration as they came, and its layers as tars; not their compressed blobs.
//! So the configuration and the `diff_ids` that go out are always the same. A blob is the same where it is not compressed,
//! where the destination has it, or where our compressor makes it again; with other blobs a manifest is made anew, and
//! the report says so.
//!
//! What lives here: making blobs of tars ([`BlobFormat`], [`LayerWriter`]), manifests with other blobs, layouts and
//! archives as destinations. What does not: HTTP ([`registry`](crate::registry)).
//! Invariants: what the store has is hashed again on its way out, and a blob has a name only after its tar's digest was
//! right; what names a thing is written after it; memory is bounded, whatever the size of a layer.

mod annotate;
mod archive;
mod bundle;
mod encoders;
mod format;
mod index;
mod layout;
mod manifest;
mod member;
mod pack;
mod report;
mod run;
mod sink;
mod spool;
mod writer;

use std::{path::Path, sync::Arc};

use sealstone_store::{Control, Repository, disk::Disk};

pub use annotate::annotate;
pub use bundle::{BundleMember, ExportedBundle, export_bundle};
pub use format::BlobFormat;
pub use report::{BlobOrigin, ExportReport, ExportedLayer};
pub use writer::{BlobSink, LayerWriter};

use crate::{
    Limits, ManifestDigest,
    error::{ImportError, Result},
    source::{Choice, Reference},
};
pub(crate) use pack::Packed;
pub(crate) use run::run;
pub(crate) use sink::{Outgoing, Sink};

/// What an export or a push may be told. Start from [`ExportOptions::default`] and change what you must.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportOptions {
    /// What the blobs of layers are made to be. By default each is what the image's manifest says: who reads the image
    /// could read it before, and one that we exported before goes out byte for byte.
    pub format: Option<BlobFormat>,
    /// The bounds of documents.
    pub limits: Limits,
}

/// Writes an image of the store as `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`.
///
/// A layout that is there gains the image, which takes its tag from another; an archive is replaced. Durable when this
/// returns; until then, and after a kill or a power cut, the layout or archive is what it was.
///
/// # Errors
/// [`ImportError::Reference`] for a target that cannot be written to; [`ImportError::Unsupported`] for a folder that holds
/// other things; a damaged store is [`StoreError::Corrupt`](sealstone_store::Error::Corrupt).
pub fn export(
    repository: &Repository,
    manifest: &ManifestDigest,
    disk: &Arc<dyn Disk>,
    target: &Reference,
    options: &ExportOptions,
    control: &Control,
) -> Result<ExportReport> {
    match target {
        Reference::Layout { path, choice } => {
            let sink = layout::LayoutSink::open(disk, path, tag(target, choice)?, &options.limits)?;
            run(repository, manifest, &sink, options, control)
        }
        Reference::Archive { path, choice } => {
            let sink = archive::ArchiveSink::open(disk, path, tag(target, choice)?)?;
            run(repository, manifest, &sink, options, control)
        }
        other => Err(refuse(other, "an image is exported to oci:DIR[:TAG] or oci-archive:FILE[:TAG]")),
    }
}

fn refuse(target: &Reference, reason: &str) -> ImportError {
    ImportError::Reference { text: target.to_string(), reason: reason.to_owned() }
}

/// The tag to give.
fn tag(target: &Reference, choice: &Choice) -> Result<Option<String>> {
    match choice {
        Choice::Only => Ok(None),
        Choice::Tag(tag) => Ok(Some(tag.clone())),
        Choice::Index(_) => Err(refuse(target, "a place in an index can be read, not written: give a tag")),
    }
}

/// The folder that a path's last component is in, and that component.
fn split<'a>(path: &'a Path, target: &str) -> Result<(&'a Path, &'a str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ImportError::Reference {
        text: target.to_owned(),
        reason: "its path does not end with a name".to_owned(),
    })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((parent.unwrap_or_else(|| Path::new(".")), name))
}
