//! Descriptors: how one document names the bytes of another (image-spec, descriptor.md).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    Digest,
    oci::{
        MediaType, Platform,
        keys::{Keys, LEAF},
    },
};

/// Type, digest and size of some bytes. Every byte that is read through it is checked against all three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
    annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of bytes that the caller knows the type, digest and size of.
    #[must_use]
    pub const fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, platform: None, annotations: BTreeMap::new() }
    }

    /// The same, with these annotations.
    #[must_use]
    pub fn with_annotations(self, annotations: BTreeMap<String, String>) -> Self {
        Self { annotations, ..self }
    }

    /// What the bytes are.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest of the bytes.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes they are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The platform that the image under it runs on, if the descriptor says.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The tag that a layout's index gives it (`org.opencontainers.image.ref.name`).
    #[must_use]
    pub fn ref_name(&self) -> Option<&str> {
        self.annotation("org.opencontainers.image.ref.name")
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}

/// The keys of a descriptor that mean something, here or to others: those of `annotations` are anybody's.
pub(super) const DESCRIPTOR: Keys = Keys(&[
    ("mediaType", LEAF),
    ("digest", LEAF),
    ("size", LEAF),
    ("platform", Keys(&[("os", LEAF), ("architecture", LEAF), ("variant", LEAF)])),
    ("annotations", LEAF),
]);

/// A descriptor as JSON has it. `data` and `urls` are not read: bytes come from the source, by digest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<WirePlatform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct WirePlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl WireDescriptor {
    /// Checks what the text form leaves open.
    pub(super) fn check(self) -> Result<Descriptor, String> {
        let digest = self.digest.parse().map_err(|error| format!("a descriptor's digest: {error}"))?;
        Ok(Descriptor {
            media_type: MediaType::parse(&self.media_type),
            digest,
            size: self.size,
            platform: self
                .platform
                .map(|wire| Platform::new(&wire.os, &wire.architecture, wire.variant.as_deref())),
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}
