//! [`Offer`]: one manifest that a reference leads to, with what its index says of it; and [`Artifact`], one that was read.

use super::disk_type::{DISK_TYPE, DiskType};
use crate::{
    Digest, Limits, ManifestDigest,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Descriptor, Document, Manifest, MediaType, Platform},
    source::{Source, read_document},
};

/// The configuration of what is no image (image-spec, manifest.md, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The annotation of a file's name.
const TITLE: &str = "org.opencontainers.image.title";

/// One of the manifests that a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// What the reference names: the index, or the manifest itself.
    pub named: Digest,
    /// The manifest.
    pub descriptor: Descriptor,
    /// The annotation `disktype`, as it stands in the index.
    pub disk_type: Option<String>,
}

impl Offer {
    /// The platform, if the index gives an architecture. Without one it fits all (R4).
    pub(super) fn platform(&self) -> Option<&Platform> {
        self.descriptor.platform().filter(|platform| !platform.architecture().is_empty())
    }
}

/// An artifact: a manifest with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// What the reference names: the index, or the manifest itself.
    pub named: Digest,
    /// The manifest's digest: what to write behind `@` to get this very artifact again.
    pub manifest: ManifestDigest,
    /// What kind of artifact it says that it is.
    pub artifact_type: Option<String>,
    /// The file's blob.
    pub body: Descriptor,
    /// The name that the file had. **Text by whoever pushed it**, no path to be used.
    pub title: Option<String>,
    /// What disk image it is, if it is one.
    pub disk_type: Option<DiskType>,
    /// What the index says that it runs on.
    pub platform: Option<Platform>,
}

impl Artifact {
    /// The file's media type, as OCI spells it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self.body.media_type() {
            MediaType::Other(text) => text,
            known => known.oci_name().unwrap_or_default(),
        }
    }

    /// How the file is packed, by the end of its media type (R10).
    #[must_use]
    pub fn compression(&self) -> Compression {
        let kind = self.media_type();
        let kind = kind.split(';').next().unwrap_or_default().trim_end();
        match kind {
            _ if kind.ends_with("zstd") => Compression::Zstd,
            _ if kind.ends_with("gzip") => Compression::Gzip,
            _ => Compression::None,
        }
    }

    /// Reads the manifest of an offer. What is no artifact is `Err` with the reason.
    pub(super) fn read(source: &dyn Source, offer: &Offer, limits: &Limits) -> Result<Result<Self, String>> {
        let descriptor = &offer.descriptor;
        let bytes = read_document(source, descriptor, "manifest", limits)?;
        let name = || format!("manifest {}", descriptor.digest());
        match Document::parse(&bytes, Some(descriptor.media_type())) {
            Ok(Document::Manifest(manifest)) => Ok(Self::of(&manifest, offer)),
            Ok(Document::Index(_)) => Err(ImportError::malformed(name(), "it is an index")),
            Err(reason) => Err(ImportError::malformed(name(), reason)),
        }
    }

    /// The artifact that a manifest describes, or why it is none (R8, R9).
    fn of(manifest: &Manifest, offer: &Offer) -> Result<Self, String> {
        let is_empty = *manifest.config.media_type() == MediaType::Other(EMPTY.to_owned());
        let artifact_type = manifest.artifact_type.clone().filter(|text| !text.is_empty());
        if artifact_type.is_none() && !is_empty {
            return Err("it is a container image, not an artifact".to_owned());
        }
        let [body] = manifest.layers.as_slice() else {
            return Err(format!("it has {} files, and not one", manifest.layers.len()));
        };
        if *body.media_type() == MediaType::Other(EMPTY.to_owned()) {
            return Err("it has no file".to_owned());
        }
        // A manifest that is named by digest has lost what an index says of it; some tools write it here as well.
        let own =
            || manifest.annotations.get(DISK_TYPE).map(String::as_str).or_else(|| body.annotation(DISK_TYPE));
        let disk_type = offer.disk_type.as_deref().or_else(own).map(str::parse).transpose()?;
        let title = body.annotation(TITLE).or_else(|| manifest.annotations.get(TITLE).map(String::as_str));
        Ok(Self {
            named: offer.named,
            manifest: ManifestDigest::new(*offer.descriptor.digest()),
            artifact_type,
            body: body.clone(),
            title: title.map(str::to_owned),
            disk_type,
            platform: offer.platform().cloned(),
        })
    }
}

/// All manifests that a reference leads to, in the order of its index; a tag of one manifest is a list of one (R6).
///
/// # Errors
/// When there is nothing, or an index is not what named it, malformed, or has too many entries.
pub fn list_offers(source: &dyn Source, limits: &Limits) -> Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for root in source.roots(limits)? {
        let named = *root.digest();
        walk(source, vec![root], named, 0, limits, &mut offers)?;
    }
    Ok(offers)
}

fn walk(
    source: &dyn Source,
    found: Vec<Descriptor>,
    named: Digest,
    depth: usize,
    limits: &Limits,
    offers: &mut Vec<Offer>,
) -> Result<()> {
    let too_many = |what: &str, limit: usize| {
        Err(ImportError::TooBig { what: format!("{what} of {}", source.label()), limit: limit as u64 })
    };
    if depth > limits.index_depth {
        return too_many("depth of indexes", limits.index_depth);
    }
    for descriptor in found {
        match descriptor.media_type() {
            MediaType::Index => {
                let bytes = read_document(source, &descriptor, "index", limits)?;
                let name = || format!("index {}", descriptor.digest());
                match Document::parse(&bytes, Some(&MediaType::Index)) {
                    Ok(Document::Index(index)) => {
                        walk(source, index.manifests, named, depth + 1, limits, offers)?;
                    }
                    Ok(Document::Manifest(_)) => {
                        return Err(ImportError::malformed(name(), "it is a manifest"));
                    }
                    Err(reason) => return Err(ImportError::malformed(name(), reason)),
                }
            }
            // Each is read, one request each.
            MediaType::Manifest if offers.len() >= limits.documents => {
                return too_many("number of manifests", limits.documents);
            }
            MediaType::Manifest => {
                let disk_type = descriptor.annotation(DISK_TYPE).map(str::to_owned);
                offers.push(Offer { named, descriptor, disk_type });
            }
            _ => {}
        }
    }
    Ok(())
}
