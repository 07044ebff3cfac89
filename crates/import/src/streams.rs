//! The streams of an image, under the names and with the references that composefs-oci gives them.
//!
//! `oci-layer-<diff_id>`: a layer's tar. `oci-config-<digest>`: the configuration's bytes, with a reference to each
//! layer by its diff_id, and to the EROFS images made of them. `oci-manifest-<digest>`: the manifest's bytes, with
//! references to the configuration (`config:<digest>`) and to each layer. A ref `oci/<name>` keeps a manifest, and
//! through it the rest. The documents' bytes are objects of their own, named by the streams.

use sealstone_store::{
    Error as StoreError, ObjectId, Repository, StreamName, Transaction,
    splitstream::{SplitStreamReader, SplitStreamWriter},
};

use crate::{ConfigDigest, DiffId, ManifestDigest, error::Result};

/// What a layer's stream says that it is.
pub(crate) const LAYER: u64 = u64::from_le_bytes(*b"ocilayer");
const CONFIG: u64 = u64::from_le_bytes(*b"ociconfg");
const MANIFEST: u64 = u64::from_le_bytes(*b"ocimanif");

/// The references of a configuration's stream that name EROFS images start with this.
const IMAGE_PREFIX: &str = "composefs.image";

/// The name of a layer's stream.
///
/// # Errors
/// Never: a digest is a stream's name.
pub fn layer_stream(diff_id: &DiffId) -> Result<StreamName> {
    Ok(format!("oci-layer-{diff_id}").parse::<StreamName>()?)
}

/// The name of a configuration's stream.
///
/// # Errors
/// Never: a digest is a stream's name.
pub fn config_stream(config: &ConfigDigest) -> Result<StreamName> {
    Ok(format!("oci-config-{config}").parse::<StreamName>()?)
}

/// The name of a manifest's stream.
///
/// # Errors
/// Never: a digest is a stream's name.
pub fn manifest_stream(manifest: &ManifestDigest) -> Result<StreamName> {
    Ok(format!("oci-manifest-{manifest}").parse::<StreamName>()?)
}

/// Which of an image's EROFS images a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageKind {
    /// Of the profile `oci` (or `oci-plain`), in format V1: `composefs.image.v1`.
    Plain,
    /// Of the profile `bootable`, in format V1: `composefs.image.boot.v1`.
    Bootable,
    /// Of the profile `bootable`, in format V2: `composefs.image.boot`. We make it, instead of the other one, for an image
    /// whose unified kernel image demands it.
    BootableV2,
}

impl ImageKind {
    /// The key of the reference.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Plain => "composefs.image.v1",
            Self::Bootable => "composefs.image.boot.v1",
            Self::BootableV2 => "composefs.image.boot",
        }
    }
}

/// The image that boots among those of a configuration: that of format V1 where somebody made both. One of format V2 alone
/// is ours if there is a plain one.
#[must_use]
pub fn bootable_image(linked: &[(ImageKind, ObjectId)]) -> Option<ObjectId> {
    let of = |wanted| linked.iter().find(|(kind, _)| *kind == wanted).map(|(_, id)| *id);
    of(ImageKind::Bootable).or_else(|| of(ImageKind::Plain).and(of(ImageKind::BootableV2)))
}

/// The EROFS images that an image's configuration in the store refers to; none when the store does not have it.
///
/// # Errors
/// When the store fails, or the stream is damaged.
pub fn linked_images(repository: &Repository, config: &ConfigDigest) -> Result<Vec<(ImageKind, ObjectId)>> {
    let refs = image_refs(repository, config)?;
    let of = |kind: ImageKind| refs.iter().find(|(name, _)| name == kind.key()).map(|(_, id)| (kind, *id));
    Ok([ImageKind::Plain, ImageKind::Bootable, ImageKind::BootableV2].into_iter().filter_map(of).collect())
}

fn image_refs(repository: &Repository, config: &ConfigDigest) -> Result<Vec<(String, ObjectId)>> {
    let map = match repository.map_stream(&config_stream(config)?) {
        Ok(map) => map,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let reader = SplitStreamReader::new(&map, repository.algorithm())?;
    if reader.content_type() != CONFIG {
        return Err(StoreError::corrupt(
            format!("stream of configuration {config}"),
            "it is of another type",
        )
        .into());
    }
    Ok(reader.named_refs().iter().filter(|(name, _)| name.starts_with(IMAGE_PREFIX)).cloned().collect())
}

/// A document of an image, and what its streams refer to.
pub(crate) struct Documents<'a> {
    pub(crate) manifest: (&'a ManifestDigest, &'a [u8]),
    pub(crate) config: (&'a ConfigDigest, &'a [u8]),
    /// The layers' streams.
    pub(crate) layers: &'a [(DiffId, ObjectId)],
    pub(crate) images: &'a [(ImageKind, ObjectId)],
}

impl Documents<'_> {
    /// Stores both streams and gives them their names, visible with the commit. Images that somebody else made of the
    /// same configuration (in another format, or with other attributes) keep their references; but where the one of format
    /// V2 is what boots, there is none of format V1 that could be taken for it.
    pub(crate) fn store(&self, transaction: &Transaction) -> Result<()> {
        let (config, bytes) = self.config;
        // A damaged stream is written anew: what it said is lost, not what it was made from.
        let kept = image_refs(transaction.repository(), config).unwrap_or_default();
        let mut stream = SplitStreamWriter::new(transaction, CONFIG)?;
        self.refer_to_layers(&mut stream)?;
        let boots_v2 = self.images.iter().any(|(kind, _)| *kind == ImageKind::BootableV2);
        for (name, id) in kept.iter().filter(|(name, _)| !boots_v2 || name != ImageKind::Bootable.key()) {
            stream.named_reference(name, id)?;
        }
        for (kind, id) in self.images {
            stream.named_reference(kind.key(), id)?;
        }
        let config_id = store_document(stream, transaction, bytes)?;
        transaction.name_stream(config_stream(config)?, config_id);

        let (manifest, bytes) = self.manifest;
        let mut stream = SplitStreamWriter::new(transaction, MANIFEST)?;
        stream.named_reference(&format!("config:{config}"), &config_id)?;
        self.refer_to_layers(&mut stream)?;
        let manifest_id = store_document(stream, transaction, bytes)?;
        transaction.name_stream(manifest_stream(manifest)?, manifest_id);
        Ok(())
    }

    fn refer_to_layers(&self, stream: &mut SplitStreamWriter<'_>) -> Result<()> {
        for (diff_id, id) in self.layers {
            stream.named_reference(&diff_id.to_string(), id)?;
        }
        Ok(())
    }
}

/// Ends a stream whose only content is a document: an object, so that the kernel can guard it by itself.
fn store_document(
    mut stream: SplitStreamWriter<'_>,
    transaction: &Transaction,
    bytes: &[u8],
) -> Result<ObjectId> {
    let document = transaction.put(bytes)?;
    stream.external(&document.id, bytes.len() as u64)?;
    Ok(stream.finish()?.id)
}
