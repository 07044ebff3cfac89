//! Indexes and manifests, and the rules that keep one from being read as the other.
//!
//! CVE-2021-41190: a document with both `layers` and `manifests` means different images to different readers. Such a
//! document is refused, and so is one whose own `mediaType` is not what the descriptor or the server said.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Descriptor, MediaType,
    descriptor::{DESCRIPTOR, WireDescriptor},
    keys::{Keys, LEAF},
};

/// An index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nobody collects them")]
pub enum Document {
    /// Names other documents, one for each platform.
    Index(Index),
    /// Names one image's configuration and layers.
    Manifest(Manifest),
}

/// An image index (image-spec, image-index.md), or Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// What it names, in its order.
    pub manifests: Vec<Descriptor>,
}

/// An image manifest (image-spec, manifest.md), or Docker's of schema 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Of an artifact, what kind it says that it is (`artifactType`).
    pub artifact_type: Option<String>,
    /// The annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
}

/// The keys that mean something in either kind.
const DOCUMENT: Keys = Keys(&[
    ("schemaVersion", LEAF),
    ("mediaType", LEAF),
    ("manifests", DESCRIPTOR),
    ("config", DESCRIPTOR),
    ("layers", DESCRIPTOR),
    ("fsLayers", LEAF),
    ("artifactType", LEAF),
    ("annotations", LEAF),
]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<WireDescriptor>>,
    config: Option<WireDescriptor>,
    layers: Option<Vec<WireDescriptor>>,
    fs_layers: Option<IgnoredAny>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a document that was announced as `announced` (by a descriptor or a server), if at all.
    ///
    /// # Errors
    /// The reason, as text: the caller knows which document it is.
    pub fn parse(bytes: &[u8], announced: Option<&MediaType>) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        DOCUMENT.check(bytes)?;
        if wire.fs_layers.is_some() || wire.schema_version == Some(1) {
            return Err(
                "it is a Docker manifest of schema 1: push the image again with a current tool".to_owned()
            );
        }
        if wire.schema_version != Some(2) {
            return Err(format!("schemaVersion is {:?}, not 2", wire.schema_version));
        }
        let own = wire.media_type.as_deref().map(MediaType::parse);
        match (&own, announced) {
            (Some(own), Some(announced)) if own != announced => {
                return Err(format!("it calls itself {own}, and was announced as {announced}"));
            }
            _ => {}
        }
        match (own.as_ref().or(announced), wire) {
            (
                Some(MediaType::Index) | None,
                Wire { manifests: Some(manifests), config: None, layers: None, .. },
            ) => Ok(Self::Index(Index { manifests: check_all(manifests)? })),
            (
                Some(MediaType::Manifest) | None,
                Wire {
                    manifests: None,
                    config: Some(config),
                    layers: Some(layers),
                    artifact_type,
                    annotations,
                    ..
                },
            ) => Ok(Self::Manifest(Manifest {
                config: config.check()?,
                layers: check_all(layers)?,
                artifact_type,
                annotations: annotations.unwrap_or_default(),
            })),
            (Some(MediaType::Index | MediaType::Manifest) | None, wire) => Err(format!(
                "it can be read in two ways, or in none: manifests {}, config {}, layers {}",
                presence(wire.manifests.is_some()),
                presence(wire.config.is_some()),
                presence(wire.layers.is_some())
            )),
            (Some(other), _) => Err(format!("it is {other}, neither an index nor a manifest")),
        }
    }
}

impl Index {
    /// Reads a document that has to be an index: a layout's `index.json`.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        match Document::parse(bytes, Some(&MediaType::Index))? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => Err("it is a manifest, not an index".to_owned()),
        }
    }
}

fn check_all(wire: Vec<WireDescriptor>) -> Result<Vec<Descriptor>, String> {
    wire.into_iter().map(WireDescriptor::check).collect()
}

const fn presence(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{DIGEST}","size":3}}"#)
    }

    fn manifest(extra: &str) -> String {
        let config = descriptor("application/vnd.oci.image.config.v1+json");
        let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip");
        format!(r#"{{"schemaVersion":2{extra},"config":{config},"layers":[{layer},{layer}]}}"#)
    }

    fn refusal(json: &str, announced: Option<&MediaType>) -> String {
        Document::parse(json.as_bytes(), announced).unwrap_err()
    }

    #[test]
    fn a_manifest_reads_with_and_without_a_media_type_of_its_own() {
        for extra in ["", r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#] {
            for announced in [None, Some(MediaType::Manifest)] {
                let Ok(Document::Manifest(manifest)) =
                    Document::parse(manifest(extra).as_bytes(), announced.as_ref())
                else {
                    panic!("{extra} {announced:?}");
                };
                assert_eq!(manifest.layers.len(), 2);
                assert_eq!(manifest.config.size(), 3);
            }
        }
    }

    #[test]
    fn a_document_with_layers_and_manifests_is_refused() {
        let both = manifest(r#","manifests":[]"#);
        for announced in [None, Some(MediaType::Manifest), Some(MediaType::Index)] {
            assert!(refusal(&both, announced.as_ref()).contains("two ways"), "{announced:?}");
        }
    }

    #[test]
    fn a_document_that_calls_itself_something_else_is_refused() {
        let index =
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert!(refusal(index, Some(&MediaType::Manifest)).contains("announced"));
        assert!(refusal(&manifest(""), Some(&MediaType::Index)).contains("two ways"));
        let config = manifest(r#","mediaType":"application/vnd.oci.image.config.v1+json""#);
        assert!(refusal(&config, None).contains("neither an index nor a manifest"));
    }

    #[test]
    fn schema_1_and_unknown_schemas_are_refused() {
        assert!(refusal(r#"{"schemaVersion":1,"fsLayers":[]}"#, None).contains("schema 1"));
        assert!(refusal(r#"{"schemaVersion":3,"manifests":[]}"#, None).contains("schemaVersion"));
        assert!(refusal(r#"{"manifests":[]}"#, None).contains("schemaVersion"));
    }

    #[test]
    fn a_field_given_twice_and_a_bad_digest_are_refused() {
        assert!(refusal(r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, None).contains("duplicate"));
        let bad = manifest("").replace(DIGEST, "sha256:../../x");
        assert!(refusal(&bad, None).contains("digits"));
    }
}
