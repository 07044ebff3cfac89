//! The tar of one layer as an image of its own: `tar:FILE`.
//!
//! Neither configuration nor manifest exists: both are made, of the tar's digest and the platform that the caller names,
//! and of nothing else: the same tar for the same platform is the same image.

use sealstone_store::Scratch;
use serde_json::json;

use super::{Blob, Source, files::FileBlob, fill, held::Held, image_documents::ImageDocuments};
use crate::{
    DigestAlgorithm, DigestHasher, Limits,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Descriptor, MediaType, Platform},
};

/// How much is hashed at a time, in bytes.
const STEP: usize = 256 << 10;

/// An image of one layer that has nothing but its tar.
pub struct LayerTar {
    held: Held,
    label: String,
    documents: ImageDocuments,
    layer: Descriptor,
}

impl LayerTar {
    /// The image of a tar that the caller wrote into a temporary file; `label` names it in messages.
    ///
    /// # Errors
    /// When it cannot be read, or is empty.
    pub fn of_scratch(scratch: Scratch, label: String, platform: &Platform) -> Result<Self> {
        Self::new(Held::Copied(scratch), label, platform)
    }

    /// Hashes the tar, and makes the documents.
    pub(super) fn new(held: Held, label: String, platform: &Platform) -> Result<Self> {
        let layer = describe(&held)?;
        if layer.size() == 0 {
            return Err(ImportError::malformed(label, "it is empty"));
        }
        let mut config = json!({
            "architecture": platform.architecture(),
            "os": platform.os(),
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer.digest().to_string()] },
        });
        if let (Some(variant), Some(config)) = (platform.variant(), config.as_object_mut()) {
            config.insert("variant".to_owned(), variant.into());
        }
        let documents = ImageDocuments::made(config.to_string().into_bytes(), std::slice::from_ref(&layer));
        Ok(Self { held, label, documents, layer })
    }
}

fn describe(held: &Held) -> Result<Descriptor> {
    let mut blob = FileBlob::whole(held.file());
    let mut hasher = DigestHasher::new(DigestAlgorithm::Sha256);
    let mut buffer = vec![0; STEP];
    let mut size = 0;
    loop {
        let count = fill(&mut blob, &mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
    Ok(Descriptor::new(MediaType::Layer(Compression::None), hasher.finish(), size))
}

impl std::fmt::Debug for LayerTar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerTar").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Source for LayerTar {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>> {
        Ok(vec![self.documents.root()])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        if let Some(document) = self.documents.open(descriptor.digest()) {
            return Ok(document);
        }
        if descriptor.digest() != self.layer.digest() {
            let what = format!("blob {}", descriptor.digest());
            return Err(ImportError::Missing { what, place: self.label() });
        }
        Ok(Box::new(FileBlob::whole(self.held.file())))
    }

    fn is_manifest_made(&self) -> bool {
        self.documents.is_made()
    }
}
