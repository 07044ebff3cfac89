//! An OCI layout of which every document can lie: descriptors and documents are plain JSON until they are written.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::layout::{architecture, digest};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A folder with a layout in it.
pub struct Layout {
    pub folder: PathBuf,
}

impl Layout {
    /// An empty layout: the marker, and a folder for blobs.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("blobs/sha256")).expect("blobs");
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout");
        Self { folder: folder.to_owned() }
    }

    /// Where a blob lies.
    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs").join(digest.replace(':', "/"))
    }

    /// Writes a blob, and describes it.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.blob_path(&digest), bytes).expect("blob");
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    pub fn document(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    /// A configuration with these `diff_ids`.
    pub fn config(&self, diff_ids: &[String]) -> Value {
        self.document(CONFIG, &config(diff_ids))
    }

    pub fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        self.document(MANIFEST, &manifest(config, layers))
    }

    /// An honest image of these tars.
    pub fn image(&self, tars: &[Vec<u8>]) -> Value {
        let layers: Vec<Value> = tars.iter().map(|tar| self.blob(TAR, tar)).collect();
        let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        self.manifest(&self.config(&diff_ids), &layers)
    }

    /// An image of one layer, whose descriptor was changed.
    pub fn with_layer(&self, tar: &[u8], change: impl FnOnce(&mut Value)) {
        let mut layer = self.blob(TAR, tar);
        change(&mut layer);
        self.index(&[self.manifest(&self.config(&[digest(tar)]), &[layer])]);
    }

    /// An image whose manifest was changed.
    pub fn with_manifest(&self, change: impl FnOnce(&mut Value)) {
        let tar = good_tar();
        let mut document = manifest(&self.config(&[digest(&tar)]), &[self.blob(TAR, &tar)]);
        change(&mut document);
        self.index(&[self.document(MANIFEST, &document)]);
    }

    /// An image whose manifest is this text.
    pub fn with_manifest_text(&self, change: impl FnOnce(String) -> String) {
        let tar = good_tar();
        let document = manifest(&self.config(&[digest(&tar)]), &[self.blob(TAR, &tar)]);
        self.index(&[self.blob(MANIFEST, change(document.to_string()).as_bytes())]);
    }

    /// An image whose configuration is these bytes.
    pub fn with_config(&self, change: impl FnOnce(String) -> Vec<u8>) {
        let tar = good_tar();
        let config = self.blob(CONFIG, &change(config(&[digest(&tar)]).to_string()));
        self.index(&[self.manifest(&config, &[self.blob(TAR, &tar)])]);
    }

    /// Writes `index.json`.
    pub fn index(&self, manifests: &[Value]) {
        self.index_text(json!({ "schemaVersion": 2, "manifests": manifests }).to_string().as_bytes());
    }

    pub fn index_text(&self, text: &[u8]) {
        fs::write(self.folder.join("index.json"), text).expect("index");
    }
}

pub fn config(diff_ids: &[String]) -> Value {
    json!({
        "architecture": architecture(), "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

pub fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })
}

/// A layer with one file, `a`, that holds `x`.
pub fn good_tar() -> Vec<u8> {
    crate::kit::RawTar::new().file("a", b"x").end()
}

/// What `store dump` says of an image of that layer.
pub const GOOD_TREE: &[&str] = &["/a 1 100644 1 0 0 0 0.0 - x -"];
