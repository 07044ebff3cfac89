//! The documents of an image whose place has none: a manifest made of a configuration and layers that were hashed.
//!
//! The manifest is OCI's, and depends on nothing but them: the same configuration and layers give the same digest.

use serde_json::json;

use super::Blob;
use crate::{
    Digest, DigestAlgorithm,
    oci::{Descriptor, MediaType},
};

/// A manifest of our own making, and the configuration that it names.
#[derive(Debug)]
pub(super) struct MadeImage {
    manifest: (Digest, Vec<u8>),
    config: (Digest, Vec<u8>),
}

impl MadeImage {
    /// Makes the manifest; the layers come lowest first.
    pub(super) fn new(config: Vec<u8>, layers: &[Descriptor]) -> Self {
        let named = |media_type: &MediaType, digest: &Digest, size: u64| {
            json!({
                "mediaType": media_type.oci_name(),
                "digest": digest.to_string(),
                "size": size,
            })
        };
        let config_digest = Digest::of(DigestAlgorithm::Sha256, &config);
        let layers: Vec<_> =
            layers.iter().map(|layer| named(layer.media_type(), layer.digest(), layer.size())).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::Manifest.oci_name(),
            "config": named(&MediaType::Config, &config_digest, config.len() as u64),
            "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Digest::of(DigestAlgorithm::Sha256, &manifest);
        Self { manifest: (digest, manifest), config: (config_digest, config) }
    }

    /// The manifest's descriptor.
    pub(super) fn root(&self) -> Descriptor {
        let (digest, bytes) = &self.manifest;
        Descriptor::new(MediaType::Manifest, *digest, bytes.len() as u64)
    }

    /// One of the two documents, by its digest.
    pub(super) fn open(&self, digest: &Digest) -> Option<Box<dyn Blob + '_>> {
        let found = [&self.manifest, &self.config].into_iter().find(|(own, _)| own == digest);
        found.map(|(_, bytes)| Box::new(bytes.as_slice()) as Box<dyn Blob>)
    }
}
