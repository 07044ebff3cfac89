//! A manifest made anew because blobs of its layers are others. What it says besides stays: configuration, annotations,
//! layers that are as they were.
//!
//! The new one is an OCI manifest also where the old one was Docker's: zstd has no type there, and every registry and
//! reader takes OCI's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::BlobFormat;
use crate::{
    Digest,
    error::{ImportError, Result},
};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Annotations of a layer that speak of its blob, and would be lies about another: of zstd:chunked and `eStargz`.
const OF_BLOBS: [&str; 4] = [
    "io.github.containers.zstd-chunked.",
    "io.containers.zstd-chunked.",
    "containerd.io/snapshot/stargz/",
    "io.containers.estargz.",
];

/// A layer's blob as it is now.
pub(crate) struct NewBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) format: BlobFormat,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The media type under which a manifest goes, as it stands in it.
pub(crate) fn media_type(manifest: &[u8]) -> Result<String> {
    let value = parse(manifest)?;
    Ok(value.get("mediaType").and_then(Value::as_str).unwrap_or(OCI_MANIFEST).to_owned())
}

/// The manifest with other blobs for some of its layers, `None` for those that are as they were.
pub(crate) fn rewrite(manifest: &[u8], blobs: &[Option<NewBlob>]) -> Result<Vec<u8>> {
    let malformed = || ImportError::malformed("manifest", "it has no list of layers");
    let mut value = parse(manifest)?;
    let was_docker = value.get("mediaType").and_then(Value::as_str) == Some(DOCKER_MANIFEST);
    let layers = value.get_mut("layers").and_then(Value::as_array_mut).ok_or_else(malformed)?;
    for (layer, blob) in layers.iter_mut().zip(blobs) {
        let layer = layer.as_object_mut().ok_or_else(malformed)?;
        match blob {
            Some(blob) => replace(layer, blob),
            None if was_docker => translate(layer),
            None => {}
        }
    }
    if was_docker {
        value.insert("mediaType".to_owned(), json!(OCI_MANIFEST));
        let config = value.get_mut("config").and_then(Value::as_object_mut).ok_or_else(malformed)?;
        config.insert("mediaType".to_owned(), json!(OCI_CONFIG));
    }
    serde_json::to_vec(&value).map_err(|error| ImportError::malformed("manifest", error.to_string()))
}

fn parse(manifest: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(manifest).map_err(|error| ImportError::malformed("manifest", error.to_string()))
}

fn replace(layer: &mut Map<String, Value>, blob: &NewBlob) {
    layer.insert("mediaType".to_owned(), json!(blob.format.media_type()));
    layer.insert("digest".to_owned(), json!(blob.digest.to_string()));
    layer.insert("size".to_owned(), json!(blob.size));
    // Where to get, and what is in, bytes that it does not name any more.
    layer.remove("urls");
    layer.remove("data");
    let mut annotations = match layer.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        _ => Map::new(),
    };
    annotations.retain(|key, _| !OF_BLOBS.iter().any(|prefix| key.starts_with(prefix)));
    annotations.extend(blob.annotations.iter().map(|(key, value)| (key.clone(), json!(value))));
    if !annotations.is_empty() {
        layer.insert("annotations".to_owned(), Value::Object(annotations));
    }
}

/// Gives a layer that is as it was the type that it has in an OCI manifest.
fn translate(layer: &mut Map<String, Value>) {
    let new = match layer.get("mediaType").and_then(Value::as_str) {
        Some("application/vnd.docker.image.rootfs.diff.tar") => BlobFormat::Plain,
        Some("application/vnd.docker.image.rootfs.diff.tar.zstd") => BlobFormat::Zstd,
        Some(other) if other.starts_with("application/vnd.docker.") => BlobFormat::Gzip,
        _ => return,
    };
    layer.insert("mediaType".to_owned(), json!(new.media_type()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DigestAlgorithm, oci::Document};

    fn digest(text: &str) -> Digest {
        Digest::of(DigestAlgorithm::Sha256, text.as_bytes())
    }

    fn descriptor(media_type: &str, name: &str) -> Value {
        json!({ "mediaType": media_type, "digest": digest(name).to_string(), "size": 3 })
    }

    fn new_blob(format: BlobFormat) -> NewBlob {
        let annotations = BTreeMap::from([("made.by".to_owned(), "us".to_owned())]);
        NewBlob { digest: digest("new"), size: 7, format, annotations }
    }

    #[test]
    fn what_is_not_about_the_blob_stays_as_it_was() {
        let mut layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "old");
        layer["annotations"] = json!({
            "mine": "stays",
            "io.github.containers.zstd-chunked.manifest-checksum": "goes",
        });
        layer["urls"] = json!(["https://elsewhere.example/"]);
        let config = descriptor(OCI_CONFIG, "config");
        let old = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer, layer],
            "annotations": { "a": "b" }, "subject": descriptor(OCI_MANIFEST, "subject") });
        let new = rewrite(old.to_string().as_bytes(), &[Some(new_blob(BlobFormat::Zstd)), None]).unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(new["layers"][0]["digest"], digest("new").to_string());
        assert_eq!(new["layers"][0]["annotations"], json!({ "mine": "stays", "made.by": "us" }));
        assert_eq!(new["layers"][0].get("urls"), None);
        for key in ["config", "annotations", "subject", "mediaType"] {
            assert_eq!(new[key], old[key], "{key}");
        }
        assert_eq!(new["layers"][1], old["layers"][1]);
    }

    #[test]
    fn a_manifest_of_docker_becomes_one_of_oci() {
        let gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let layers = [descriptor(gzip, "one"), descriptor(gzip, "two")];
        let config = descriptor("application/vnd.docker.container.image.v1+json", "config");
        let old =
            json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers });
        let old = old.to_string();
        assert_eq!(media_type(old.as_bytes()).unwrap(), DOCKER_MANIFEST);
        let new = rewrite(old.as_bytes(), &[Some(new_blob(BlobFormat::Zstd)), None]).unwrap();
        assert_eq!(media_type(&new).unwrap(), OCI_MANIFEST);
        let text = String::from_utf8(new.clone()).unwrap();
        assert!(!text.contains("docker"), "{text}");
        let Ok(Document::Manifest(read)) = Document::parse(&new, None) else { panic!("no manifest") };
        assert_eq!(*read.config.digest(), digest("config"));
        assert_eq!(*read.layers[1].digest(), digest("two"));
    }
}
