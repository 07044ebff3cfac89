//! A place that has one image, in memory, whose tag can be moved, and that counts what it is asked.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sealstone_import::{
    Digest, DigestAlgorithm, ImportError, Limits,
    oci::{Descriptor, MediaType, Platform},
    source::{Blob, Source},
};

use super::{System, tar_of};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A tag and what it leads to.
#[derive(Debug, Default)]
pub(crate) struct Published {
    blobs: BTreeMap<String, Vec<u8>>,
    root: Option<Descriptor>,
    /// How often a blob was opened, documents included.
    opened: Mutex<usize>,
}

impl Published {
    /// With an image under the tag.
    pub(crate) fn of(system: &System<'_>) -> Self {
        let mut place = Self::default();
        place.push(system, "");
        place
    }

    /// Moves the tag to an image; another note is another manifest of the same content.
    pub(crate) fn push(&mut self, system: &System<'_>, note: &str) {
        let tar = tar_of(&system.entries());
        let platform = Platform::native();
        let diff_id = Digest::of(DigestAlgorithm::Sha256, &tar).to_string();
        let layer = self.put(LAYER, tar);
        let config = serde_json::json!({
            "os": platform.os(), "architecture": platform.architecture(),
            "config": {"Labels": {"note": note, "version": system.version}},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = self.put(CONFIG, config.to_string().into_bytes());
        let described = |media_type: &str, blob: &Descriptor| serde_json::json!({"mediaType": media_type, "digest": blob.digest().to_string(), "size": blob.size()});
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(CONFIG, &config), "layers": [described(LAYER, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        self.root = Some(self.put(MANIFEST, manifest));
    }

    /// How often a blob was opened since the last call.
    pub(crate) fn opened(&self) -> usize {
        std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::of(DigestAlgorithm::Sha256, &bytes);
        let descriptor = Descriptor::new(MediaType::parse(media_type), digest, bytes.len() as u64);
        self.blobs.insert(digest.to_string(), bytes);
        descriptor
    }
}

impl Source for Published {
    fn label(&self) -> String {
        "memory:".to_owned()
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>, ImportError> {
        Ok(self.root.iter().cloned().collect())
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>, ImportError> {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let missing = || ImportError::Missing { what: descriptor.digest().to_string(), place: self.label() };
        let bytes = self.blobs.get(&descriptor.digest().to_string()).ok_or_else(missing)?;
        Ok(Box::new(bytes.as_slice()))
    }
}
