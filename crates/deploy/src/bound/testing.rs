//! Images to bind, for unit tests: OCI layouts of tars, opened as a registry would be.

use std::{collections::BTreeMap, path::Path};

use sealstone_import::{
    Digest, DigestAlgorithm, ImportError, Limits,
    oci::Platform,
    source::{self, Source},
};
use sealstone_store::disk::RealDisk;
use serde_json::json;

use super::{BoundImage, BoundReference, FetchedBound};
use crate::{
    DeployError,
    testing::{Entry, tar_of},
};

/// Images by reference, each a layout in a folder of its own.
pub(super) struct Shelf {
    folder: tempfile::TempDir,
    images: BTreeMap<String, std::path::PathBuf>,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), images: BTreeMap::new() }
    }

    /// Puts an image of these layers, the lowest first, on the shelf; gives its manifest's digest.
    pub(super) fn put(&mut self, reference: &str, layers: &[Vec<Entry>]) -> String {
        let tars: Vec<_> = layers.iter().map(|entries| tar_of(entries)).collect();
        let folder = self.folder.path().join(self.images.len().to_string());
        let digest = write_layout(&folder, &tars);
        self.images.insert(reference.parse::<BoundReference>().unwrap().storage_name(), folder);
        digest
    }

    /// Opens what is on the shelf, by tag or with a digest behind it.
    pub(super) fn open(&self, reference: &BoundReference) -> Result<Box<dyn Source>, ImportError> {
        let registry = reference.registry();
        let name =
            format!("{}/{}:{}", registry.host(), registry.repository(), registry.tag().unwrap_or("latest"));
        let folder = self.images.get(&name).or_else(|| self.images.get(&reference.storage_name()));
        let missing = || ImportError::Missing { what: name.clone(), place: "the shelf".into() };
        let layout = format!("oci:{}", folder.ok_or_else(missing)?.display());
        source::open(&RealDisk::shared(), &layout.parse()?, &Limits::default())
    }
}

fn write_layout(folder: &Path, tars: &[Vec<u8>]) -> String {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(DigestAlgorithm::Sha256, bytes);
        std::fs::write(blobs.join(digest.to_hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let layers: Vec<_> = tars.iter().map(|tar| put("application/vnd.oci.image.layer.v1.tar", tar)).collect();
    let platform = Platform::native();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let config = json!({
        "architecture": platform.architecture(), "os": platform.os(), "created": "2026-01-02T03:04:05Z",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers});
    let manifest = put(manifest_type, manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    manifest["digest"].as_str().unwrap().to_owned()
}

/// The images of these references, resolved and fetched into the repository.
pub(super) fn fetched(
    repository: &sealstone_store::Repository,
    shelf: &Shelf,
    references: &[&str],
) -> Vec<BoundImage> {
    fetch(repository, shelf, references).unwrap().images
}

/// The same, held against gc.
pub(super) fn fetch(
    repository: &sealstone_store::Repository,
    shelf: &Shelf,
    references: &[&str],
) -> Result<FetchedBound, DeployError> {
    let refs: Vec<_> = references
        .iter()
        .map(|reference| super::BoundRef {
            unit: "a.image".into(),
            reference: (*reference).to_owned(),
            through: None,
        })
        .collect();
    let (options, control) = (sealstone_import::ImportOptions::default(), sealstone_store::Control::new());
    let open = |reference: &BoundReference| shelf.open(reference);
    let resolved = super::resolve_bound(repository, &refs, &[], &open, &options, &control)?;
    let images = resolved.into_iter().map(|one| one.image).collect();
    super::fetch_bound(repository, images, &open, &options, &control)
}
