//! Which images an image binds that is not here yet, as far as that can be told without its layers.
//!
//! What is tried, in this order: the image made of it, if it was imported before; the annotation of its manifest
//! ([`BOUND_ANNOTATION`](super::BOUND_ANNOTATION)); its layers, if the repository has all of them, or if those that it
//! lacks are zstd:chunked ([`glimpse`](super::glimpse)). Otherwise it is unknown until download: any layer may bring or take
//! away a unit.

use sealstone_import::{ImageKind, ImportOptions, SourceImage, source::Source, streams::linked_images};
use sealstone_store::{Control, Repository};

use super::{BoundRef, annotation::read_annotation, glimpse::glimpse, units::bound_refs};
use crate::{DeployError, ImageId, image_tree::image_tree};

/// How it is known which images are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OfferSource {
    /// The image was imported before.
    Image,
    /// Its manifest says so: digests and sizes as of when it was annotated.
    Annotation,
    /// The repository has all its layers.
    Layers,
    /// Tables of contents of the zstd:chunked layers that the repository lacks, and the units in them, were read.
    Chunked,
}

/// A bound image of an image in a source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OfferedBound {
    /// The unit that names it.
    pub unit: String,
    /// What the unit says.
    pub reference: String,
    /// Its manifest, where an annotation says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Bytes of its layers' blobs, where an annotation says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What an image in a source binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundOffer {
    /// These, and how that is known.
    Known(OfferSource, Vec<OfferedBound>),
    /// Unknown until download.
    Unknown,
}

impl BoundOffer {
    /// The references, to be resolved; none when they are unknown.
    #[must_use]
    pub fn refs(&self) -> Option<Vec<BoundRef>> {
        let Self::Known(_, images) = self else { return None };
        let one = |image: &OfferedBound| BoundRef {
            unit: image.unit.clone(),
            reference: image.reference.clone(),
            through: None,
        };
        Some(images.iter().map(one).collect())
    }
}

/// What an image that was looked at in a source binds. Asks the source for parts of zstd:chunked layers at most, and stores
/// nothing.
///
/// # Errors
/// When the repository cannot be read; [`DeployError::BoundUnit`] when a unit is known to be wrong.
pub fn offered_bound(
    repository: &Repository,
    source: &dyn Source,
    image: &SourceImage,
    options: &ImportOptions,
    control: &Control,
) -> Result<BoundOffer, DeployError> {
    let linked = linked_images(repository, &image.config)?;
    let plain = linked.iter().find(|(kind, _)| *kind == ImageKind::Plain).map(|(_, id)| ImageId::new(*id));
    if let Some(plain) = plain
        && let Ok(tree) = image_tree(repository, &plain)
    {
        return Ok(known(OfferSource::Image, bound_refs(repository, &tree)?));
    }
    if let Some(Ok(images)) = read_annotation(&image.annotations) {
        return Ok(BoundOffer::Known(OfferSource::Annotation, images));
    }
    let found = glimpse(repository, source, image, options, control)?;
    Ok(found.map_or(BoundOffer::Unknown, |(how, refs)| known(how, refs)))
}

fn known(how: OfferSource, refs: Vec<BoundRef>) -> BoundOffer {
    let one =
        |BoundRef { unit, reference, .. }| OfferedBound { unit, reference, manifest: None, bytes: None };
    BoundOffer::Known(how, refs.into_iter().map(one).collect())
}
