//! An OCI image layout on disk: blobs by digest, an index, `oci-layout`, with room for lies.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::layer::Layer;

/// How a layer's blob is compressed.
#[derive(Clone, Copy)]
pub enum Compression {
    None,
    Gzip,
}

/// An image to write: layers, bottom first, and the lies that a test wants told.
pub struct Image {
    layers: Vec<(Vec<u8>, Compression)>,
    lying_diff_id: Option<usize>,
    lying_size: Option<usize>,
    labels: serde_json::Map<String, Value>,
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    pub fn new() -> Self {
        Self { layers: Vec::new(), lying_diff_id: None, lying_size: None, labels: serde_json::Map::new() }
    }

    /// One layer with a kernel, and one on top.
    pub fn bootable(version: &str) -> Self {
        Self::new().layer(Layer::system(version)).layer(
            Layer::new()
                .dir("usr/share")
                .file("usr/share/doc.txt", version.as_bytes())
                .file("etc/issue", b"hello\n"),
        )
    }

    pub fn layer(self, layer: Layer) -> Self {
        self.compressed_layer(layer, Compression::Gzip)
    }

    pub fn compressed_layer(self, layer: Layer, compression: Compression) -> Self {
        self.tar(layer.finish(), compression)
    }

    /// A layer of any bytes, a tar or not.
    pub fn tar(mut self, tar: Vec<u8>, compression: Compression) -> Self {
        self.layers.push((tar, compression));
        self
    }

    /// The config names another tar than the one that the layer holds.
    pub fn with_lying_diff_id(mut self, layer: usize) -> Self {
        self.lying_diff_id = Some(layer);
        self
    }

    /// The manifest says that the layer's blob is one byte longer than it is.
    pub fn with_lying_size(mut self, layer: usize) -> Self {
        self.lying_size = Some(layer);
        self
    }

    /// The configuration has this label.
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), json!(value));
        self
    }

    /// Writes the layout into `folder` with the tag `latest`; returns the manifest's digest.
    pub fn write(&self, folder: &Path) -> String {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("blobs");
        let (descriptors, diff_ids) = self.write_layers(&blobs);
        let labels = if self.labels.is_empty() { json!({}) } else { json!({ "Labels": self.labels }) };
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": labels,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let mut config = put(&blobs, &serde_json::to_vec(&config).expect("config"));
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": descriptors,
        });
        let mut manifest = put(&blobs, &serde_json::to_vec(&manifest).expect("manifest"));
        manifest["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(folder.join("index.json"), index.to_string()).expect("index");
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout");
        manifest["digest"].as_str().expect("a digest").to_owned()
    }

    fn write_layers(&self, blobs: &Path) -> (Vec<Value>, Vec<String>) {
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        for (position, (tar, compression)) in self.layers.iter().enumerate() {
            let (blob, media_type) = match compression {
                Compression::None => (tar.clone(), "application/vnd.oci.image.layer.v1.tar"),
                Compression::Gzip => (gzip(tar), "application/vnd.oci.image.layer.v1.tar+gzip"),
            };
            let mut descriptor = put(blobs, &blob);
            descriptor["mediaType"] = json!(media_type);
            if self.lying_size == Some(position) {
                descriptor["size"] = json!(blob.len() + 1);
            }
            descriptors.push(descriptor);
            let lie = self.lying_diff_id == Some(position);
            diff_ids.push(if lie { digest(b"another tar") } else { digest(tar) });
        }
        (descriptors, diff_ids)
    }
}

/// Flips one bit in the middle of the biggest blob of the layout in `folder`.
pub fn flip_a_bit(folder: &Path) {
    let blobs =
        fs::read_dir(folder.join("blobs/sha256")).expect("blobs").map(|entry| entry.expect("blob").path());
    let biggest = blobs.max_by_key(|path| path.metadata().expect("metadata").len()).expect("a blob");
    let mut bytes = fs::read(&biggest).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&biggest, bytes).expect("write");
}

/// `sha256:<hex>` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn put(blobs: &Path, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let hex = digest.strip_prefix("sha256:").expect("sha256");
    fs::write(blobs.join(hex), bytes).expect("blob");
    json!({ "digest": digest, "size": bytes.len() })
}

/// The bytes as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

/// The name that OCI gives the architecture that the tests run on.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
