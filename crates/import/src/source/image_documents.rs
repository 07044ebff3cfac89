//! A manifest and a configuration that a source holds: found in its place, or the manifest made here.
//!
//! A manifest is made where the place has none: of the configuration and of layers that are named by their digests. It is
//! OCI's, and depends on nothing but them: the same configuration and layers give the same digest.

use serde_json::json;

use super::Blob;
use crate::{
    Digest, DigestAlgorithm,
    oci::{Descriptor, MediaType},
};

/// A manifest, and the configuration that it names.
#[derive(Debug)]
pub(super) struct ImageDocuments {
    manifest: (Digest, Vec<u8>),
    config: (Digest, Vec<u8>),
    is_made: bool,
}

impl ImageDocuments {
    /// Takes a manifest that the place has.
    pub(super) fn found(manifest: Vec<u8>, config: (Digest, Vec<u8>)) -> Self {
        let digest = Digest::of(DigestAlgorithm::Sha256, &manifest);
        Self { manifest: (digest, manifest), config, is_made: false }
    }

    /// Makes the manifest; the layers come lowest first.
    pub(super) fn made(config: Vec<u8>, layers: &[Descriptor]) -> Self {
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
        let found = Self::found(manifest.to_string().into_bytes(), (config_digest, config));
        Self { is_made: true, ..found }
    }

    /// Whether the place has no manifest.
    pub(super) const fn is_made(&self) -> bool {
        self.is_made
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
