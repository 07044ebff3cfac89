//! An annotation for an image that lies in a layout: its manifest is made anew with it, under the same tag.
//!
//! Everything else of the manifest stays: configuration, layers, other annotations. Its digest is another, so whoever names
//! the old one has to be told; the old manifest stays in the layout.

use std::sync::Arc;

use sealstone_store::{Control, disk::Disk};
use serde_json::{Map, Value, json};

use super::{
    layout::LayoutSink,
    manifest::media_type,
    refuse,
    sink::{Outgoing, Sink},
    tag,
};
use crate::{
    ConfigDigest, Digest, DigestAlgorithm, Limits, ManifestDigest,
    error::{ImportError, Result},
    oci::{Document, MediaType},
    source::{OciLayout, Reference, Source, read_document},
};

/// Sets an annotation of the image that `target`, an OCI layout, names; gives the manifest's new digest. The image has to
/// have this configuration: an annotation of one image has no business at another.
///
/// # Errors
/// [`ImportError::Reference`] for what is no layout; [`ImportError::Unsupported`] where the reference names an index;
/// [`ImportError::Digest`] for another image.
pub fn annotate(
    disk: &Arc<dyn Disk>,
    target: &Reference,
    config: &ConfigDigest,
    (key, value): (&str, &str),
    limits: &Limits,
    control: &Control,
) -> Result<ManifestDigest> {
    let Reference::Layout { path, choice } = target else {
        return Err(refuse(target, "an image is annotated in a layout, oci:DIR[:TAG]"));
    };
    let source = OciLayout::open(disk, path, choice.clone())?;
    let roots = source.roots(limits)?;
    let [root] = roots.as_slice() else {
        return Err(ImportError::unsupported(target.to_string(), "it names several images: give a tag"));
    };
    if *root.media_type() != MediaType::Manifest {
        return Err(ImportError::unsupported(target.to_string(), "it names an index, not an image"));
    }
    let bytes = read_document(&source, root, "manifest", limits)?;
    let name = format!("manifest {}", root.digest());
    let malformed = |reason: String| ImportError::malformed(name.clone(), reason);
    let Document::Manifest(manifest) = Document::parse(&bytes, Some(root.media_type())).map_err(malformed)?
    else {
        return Err(malformed("it is an index".to_owned()));
    };
    if manifest.config.digest() != config.digest() {
        let what = format!("the configuration of {target}");
        return Err(ImportError::digest(what, config.digest(), manifest.config.digest()));
    }
    let mut document: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let annotations = document.entry("annotations").or_insert(json!({}));
    let annotations =
        annotations.as_object_mut().ok_or_else(|| malformed("annotations is no object".to_owned()))?;
    annotations.insert(key.to_owned(), json!(value));
    let new = serde_json::to_vec(&document).map_err(|error| malformed(error.to_string()))?;
    let digest = Digest::of(DigestAlgorithm::Sha256, &new);
    // A layout's only image may have a tag that was not asked for: it keeps it.
    let tag = match tag(target, choice) {
        Ok(Some(tag)) => Some(tag),
        _ => root.ref_name().map(str::to_owned),
    };
    let sink = LayoutSink::open(disk, path, tag, limits)?;
    sink.put_manifest(&Outgoing { media_type: &media_type(&bytes)?, digest, bytes: &new }, control)?;
    Ok(ManifestDigest::new(digest))
}
