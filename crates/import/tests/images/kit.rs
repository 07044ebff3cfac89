//! Images under construction, in a layout of a temporary folder, and a repository beside it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_import::{
    DiffId, Digest, DigestAlgorithm, ImportError, ImportOptions, ImportPlan, ImportReport, import,
    plan_import, source, streams,
};
use sealstone_store::{
    Algorithm, Control, Durable, InitOptions, Repository,
    disk::{Disk, RealDisk},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common;
pub use crate::common::{noise, sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a layer's blob is made of its tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Gzip, Self::Zstd];

    pub fn pack(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => tar.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(tar).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::stream::encode_all(tar, 1).unwrap(),
        }
    }

    pub fn media_type(self) -> String {
        let suffix = match self {
            Self::Plain => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        };
        format!("{LAYER}{suffix}")
    }
}

/// A tar of regular files in `usr/`.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    common::tar_of(files.iter().map(|(path, body)| (format!("usr/{path}"), *body)))
}

/// A layout and a repository in a temporary folder.
pub struct Fixture {
    pub folder: TempDir,
    pub algorithm: Algorithm,
    pub options: ImportOptions,
    pub control: Control,
    pub disk: Arc<dyn Disk>,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::create_dir_all(layout.join("blobs/sha512")).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self {
            folder,
            algorithm: Algorithm::Sha256,
            options: ImportOptions::default(),
            control: Control::new().with_threads(2),
            disk: RealDisk::shared(),
        }
    }

    /// With an image of these layers.
    pub fn with_layers(layers: &[(&[u8], Packing)]) -> Self {
        let fixture = Self::new();
        let image = fixture.image(layers);
        fixture.index(&[image]);
        fixture
    }

    pub fn layout(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    /// Puts a blob in its place, and describes it.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        self.blob_by(DigestAlgorithm::Sha256, media_type, bytes)
    }

    pub fn blob_by(&self, algorithm: DigestAlgorithm, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(algorithm, bytes).to_string();
        fs::write(self.blob_path(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.layout().join("blobs").join(digest.replace(':', "/"))
    }

    pub fn layer(&self, tar: &[u8], packing: Packing) -> Value {
        self.blob(&packing.media_type(), &packing.pack(tar))
    }

    /// A manifest over described layers and their tars' digests.
    pub fn manifest(&self, layers: &[Value], diff_ids: &[String]) -> Value {
        let config = json!({
            "os": "linux", "architecture": std::env::consts::ARCH,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}
        });
        let config = self.blob(CONFIG, config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    pub fn image(&self, layers: &[(&[u8], Packing)]) -> Value {
        let described: Vec<_> = layers.iter().map(|(tar, packing)| self.layer(tar, *packing)).collect();
        let diff_ids: Vec<_> = layers.iter().map(|(tar, _)| sha256(tar)).collect();
        self.manifest(&described, &diff_ids)
    }

    pub fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.layout().join("index.json"), index.to_string()).unwrap();
    }

    pub fn repository(&self) -> Repository {
        let options = InitOptions { algorithm: self.algorithm, ..InitOptions::default() };
        Repository::init(&self.disk, self.folder.path().join("repo"), &options).unwrap().0
    }

    pub fn import(&self) -> Result<ImportReport, ImportError> {
        self.import_from(&format!("oci:{}", self.layout().display()))
    }

    pub fn import_from(&self, reference: &str) -> Result<ImportReport, ImportError> {
        let source = source::open(&self.disk, &reference.parse()?, &self.options.limits)?;
        let name = Some("test");
        import(&self.repository(), &*source, name, &self.options, &self.control).map(Durable::into_inner)
    }

    /// What an import would read.
    pub fn plan(&self) -> Result<ImportPlan, ImportError> {
        let reference = format!("oci:{}", self.layout().display()).parse()?;
        let source = source::open(&self.disk, &reference, &self.options.limits)?;
        plan_import(&self.repository(), &*source, &self.options)
    }

    /// What the import is refused with; nothing may be visible then.
    pub fn refusal(&self) -> ImportError {
        let error = self.import().expect_err("it has to be refused");
        let repository = self.repository();
        assert_eq!(repository.streams().unwrap(), [], "something was published");
        assert_eq!(repository.images().unwrap(), []);
        error
    }

    /// The tar that the store has of a layer, and the content of each file in it, by a reader that is not ours.
    pub fn stored_tar(&self, diff_id: &str) -> Vec<u8> {
        let repository = self.repository();
        let diff_id: DiffId = diff_id.parse().unwrap();
        let stream = repository.stream(&streams::layer_stream(&diff_id).unwrap()).unwrap();
        let mut tar = Vec::new();
        repository
            .cat_stream(&stream, |bytes| {
                tar.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        tar
    }

    /// Checks that the store has these tars, byte for byte.
    pub fn assert_has(&self, tars: &[&[u8]]) {
        for tar in tars {
            assert!(self.stored_tar(&sha256(tar)) == *tar, "the store has another tar");
        }
    }

    /// The repository's objects: path and size.
    pub fn objects(&self) -> BTreeMap<PathBuf, u64> {
        let mut objects = BTreeMap::new();
        for folder in fs::read_dir(self.folder.path().join("repo/objects")).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let file = file.unwrap();
                objects.insert(file.path(), file.metadata().unwrap().len());
            }
        }
        objects
    }
}

/// The bodies of a tar's regular files.
pub fn bodies_of(tar: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut body = Vec::new();
        entry.read_to_end(&mut body).unwrap();
        (entry.path().unwrap().into_owned(), body)
    });
    entries.collect()
}

/// Changes a file in place.
pub fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}
