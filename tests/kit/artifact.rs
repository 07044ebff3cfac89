//! Artifacts as ORAS and podman make them: a manifest with an empty configuration and one file.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::http::{push_blob, push_manifest, sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const TYPE: &str = "application/vnd.example.disk";

/// The manifest of an artifact whose files have these contents, media types and names.
pub fn manifest(files: &[(&[u8], &str, &str)]) -> Value {
    let layers: Vec<_> = files
        .iter()
        .map(|(body, kind, title)| {
            json!({"mediaType": kind, "digest": sha256(body), "size": body.len(),
                   "annotations": {"org.opencontainers.image.title": title}})
        })
        .collect();
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2, "data": "e30="},
        "layers": layers,
    })
}

/// Pushes one under a tag; gives its digest.
pub fn push(host: &str, repository: &str, tag: &str, files: &[(&[u8], &str, &str)]) -> String {
    push_blob(host, repository, b"{}");
    for (body, _, _) in files {
        push_blob(host, repository, body);
    }
    push_manifest(host, repository, tag, MANIFEST, manifest(files).to_string().as_bytes())
}

/// Writes one as an OCI layout, tagged `latest`.
pub fn write_layout(folder: &Path, files: &[(&[u8], &str, &str)]) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("blobs");
    let manifest = manifest(files).to_string().into_bytes();
    let bodies = files.iter().map(|(body, _, _)| *body);
    for bytes in bodies.chain([&b"{}"[..], &manifest]) {
        fs::write(blobs.join(&sha256(bytes)["sha256:".len()..]), bytes).expect("a blob");
    }
    let entry = json!({"mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len(),
                       "annotations": {"org.opencontainers.image.ref.name": "latest"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(folder.join("index.json"), index.to_string()).expect("index");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout");
}
