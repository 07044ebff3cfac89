//! The storage of podman, buildah and CRI-O, read without them: `containers-storage:[DRIVER@ROOT+RUN]IMAGE`.
//!
//! It has an image's manifest and configuration as they came, and of each layer the files and a tar-split: with both its
//! tar is put together again. The compressed blobs that the manifest names are gone, so their digests cannot be checked.
//! What is checked: the configuration is the one that the manifest names, each tar has the diff_id that the configuration
//! names, and an image that was asked for by its id has that id. The manifest is kept where it names those tars themselves,
//! as that of an image built on the machine does; else one is made.
//!
//! Nothing is written or locked. Its documents are replaced whole, so they are read whole; a layer that podman removes or
//! changes meanwhile is missing, or has another digest, and the import fails.
//!
//! Source of the format: containers/storage, `images.go`, `layers.go`, `drivers/overlay`, `drivers/vfs`;
//! containers/image, `storage/storage_src.go`. Additional image stores are not looked at.

mod images;
mod layers;
mod rebuilt_tar;
mod reference;

use std::{collections::HashMap, path::Path, sync::Arc};

use sealstone_store::disk::{Dir, Disk};

pub use images::{Found, StorageImage, StorageImages};
pub use layers::{StorageLayer, StorageLayers};
pub use reference::{StorageDriver, StorageReference};

use rebuilt_tar::RebuiltTar;

use super::{
    Blob, Source,
    files::{FileBlob, open_file, read_file},
    image_documents::ImageDocuments,
};
use crate::{
    DiffId, Digest, Limits,
    base64::encode_base64,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Config, Descriptor, Document, Manifest, MediaType},
    registry::config::PolicyScope,
    tar_split::TarSplitReader,
};

/// One image of a containers-storage.
#[derive(Debug)]
pub struct ContainersStorage {
    label: String,
    dir: Dir,
    driver: StorageDriver,
    limits: Limits,
    documents: ImageDocuments,
    /// The layers' ids, by diff_id.
    layers: HashMap<Digest, String>,
    scope: PolicyScope,
}

/// The machine's own storage, root's.
pub const MACHINE_STORAGE: &str = "/var/lib/containers/storage";

impl ContainersStorage {
    /// Opens the storage, finds the image, and reads its documents. A reference without a folder means `default_root`.
    ///
    /// # Errors
    /// When there is no such storage or image, or its documents do not fit each other.
    pub fn open(
        disk: &Arc<dyn Disk>,
        reference: &StorageReference,
        default_root: &Path,
        limits: &Limits,
    ) -> Result<Self> {
        let root = reference.root().unwrap_or(default_root);
        let dir = Dir::open(disk, root)?;
        let driver = reference.driver().map_or_else(|| find_driver(&dir), Ok)?;
        let label = format!("containers-storage:[{}@{}]{}", driver.name(), root.display(), reference.image());
        let read = |name: &str| read_file(&dir, name, limits.storage_document_bytes);
        let malformed =
            |name: &str, reason| ImportError::malformed(format!("{name} of {}", root.display()), reason);

        let name = format!("{}-images/images.json", driver.name());
        let images = StorageImages::parse(&read(&name)?).map_err(|reason| malformed(&name, reason))?;
        let found = images.find(reference)?;
        let image = ImageFolder { dir: &dir, driver, id: &found.image.id, limits };
        let (manifest_bytes, manifest) = image.manifest()?;
        let (config_bytes, config) = image.config(manifest.config.digest())?;
        if found.is_by_id && manifest.config.digest().to_hex() != found.image.id {
            let reason = format!("its configuration is {}: ask for it by name", manifest.config.digest());
            return Err(ImportError::malformed(format!("the id of {label}"), reason));
        }

        let name = format!("{}-layers/layers.json", driver.name());
        let layers = StorageLayers::parse(&read(&name)?).map_err(|reason| malformed(&name, reason))?;
        let chain = layers.chain(found.image.layer.as_deref(), &label, limits)?;
        let descriptors = describe(&chain, &config, &label)?;
        let is_named_by_manifest =
            manifest.layers.iter().map(Descriptor::digest).eq(config.diff_ids.iter().map(DiffId::digest));
        let documents = if is_named_by_manifest {
            ImageDocuments::found(manifest_bytes, (*manifest.config.digest(), config_bytes))
        } else {
            ImageDocuments::made(config_bytes, &descriptors)
        };
        let ids = chain.iter().map(|layer| layer.id.clone());
        let layers = descriptors.iter().map(|layer| *layer.digest()).zip(ids).collect();
        let id = found.is_by_id.then_some(found.image.id.as_str());
        let name = found.name.and_then(|name| name.parse().ok());
        let scope = PolicyScope::storage(driver.name(), root, name.as_ref(), id);
        Ok(Self { label, dir, driver, limits: limits.clone(), documents, layers, scope })
    }

    /// By which names a `policy.json` may speak of the image.
    #[must_use]
    pub const fn policy_scope(&self) -> &PolicyScope {
        &self.scope
    }
}

/// The first driver that the folder has images of.
fn find_driver(dir: &Dir) -> Result<StorageDriver> {
    for driver in StorageDriver::ALL {
        if dir.exists(format!("{}-images", driver.name()))? {
            return Ok(driver);
        }
    }
    let what = "folder overlay-images or vfs-images".to_owned();
    Err(ImportError::Missing { what, place: dir.label().display().to_string() })
}

/// The layers as plain tars, each named by the diff_id that the configuration has for it.
fn describe(chain: &[&StorageLayer], config: &Config, label: &str) -> Result<Vec<Descriptor>> {
    if chain.len() != config.diff_ids.len() {
        let reason = format!("it has {} diff_ids for {} layers", config.diff_ids.len(), chain.len());
        return Err(ImportError::malformed(format!("the configuration of {label}"), reason));
    }
    let describe = |(layer, diff_id): (&&StorageLayer, &DiffId)| {
        let size = layer.tar_bytes().ok_or_else(|| {
            let reason = "its size was never counted: it was pulled in part, so its tar is not known";
            ImportError::unsupported(format!("layer {} of {label}", layer.id), reason)
        })?;
        Ok(Descriptor::new(MediaType::Layer(Compression::None), *diff_id.digest(), size))
    };
    chain.iter().zip(&config.diff_ids).map(describe).collect()
}

/// The documents of one image.
struct ImageFolder<'a> {
    dir: &'a Dir,
    driver: StorageDriver,
    id: &'a str,
    limits: &'a Limits,
}

impl ImageFolder<'_> {
    fn read(&self, key: &str) -> Result<Vec<u8>> {
        let name = format!("{}-images/{}/{}", self.driver.name(), self.id, big_data_file(key));
        read_file(self.dir, &name, self.limits.document_bytes)
    }

    fn malformed(&self, what: &str, reason: impl Into<String>) -> ImportError {
        let place = self.dir.label().display();
        ImportError::malformed(format!("the {what} of image {} in {place}", self.id), reason)
    }

    fn manifest(&self) -> Result<(Vec<u8>, Manifest)> {
        let bytes = self.read("manifest")?;
        match Document::parse(&bytes, None) {
            Ok(Document::Manifest(manifest)) => Ok((bytes, manifest)),
            Ok(Document::Index(_)) => Err(self.malformed("manifest", "it is an index")),
            Err(reason) => Err(self.malformed("manifest", reason)),
        }
    }

    fn config(&self, digest: &Digest) -> Result<(Vec<u8>, Config)> {
        let bytes = self.read(&digest.to_string())?;
        let actual = Digest::of(digest.algorithm(), &bytes);
        if actual != *digest {
            let what = format!("the configuration of image {}", self.id);
            return Err(ImportError::digest(what, digest, &actual));
        }
        let config = Config::parse(&bytes).map_err(|reason| self.malformed("configuration", reason))?;
        Ok((bytes, config))
    }
}

/// The name of the file in which the storage keeps an image's document: the document's key, in base64 where that has other
/// characters than these.
#[must_use]
pub fn big_data_file(key: &str) -> String {
    let is_plain = key.bytes().all(|byte| matches!(byte, b'.' | b'0'..=b'9' | b'a'..=b'z'));
    if is_plain { key.to_owned() } else { format!("={}", encode_base64(key.as_bytes())) }
}

/// Whether a text is an id, and so a name of a folder: containers/storage makes 64 digits, and takes words of others.
fn is_id(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_word)
}

impl Source for ContainersStorage {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>> {
        Ok(vec![self.documents.root()])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        if let Some(document) = self.documents.open(descriptor.digest()) {
            return Ok(document);
        }
        let missing = |what: String| ImportError::Missing { what, place: self.label.clone() };
        let id = self.layers.get(descriptor.digest());
        let id = id.ok_or_else(|| missing(format!("layer {}", descriptor.digest())))?;
        let name = format!("{}-layers/{id}.tar-split.gz", self.driver.name());
        let split = open_file(&self.dir, &name)?.ok_or_else(|| {
            let reason = "the storage kept no tar-split of it, so its tar cannot be made again";
            ImportError::unsupported(format!("layer {id} of {}", self.label), reason)
        })?;
        let folder = self.driver.files(id);
        let files = match self.dir.open_dir(&folder) {
            Err(error) if error.is_missing() => return Err(missing(format!("folder {folder}"))),
            other => other?,
        };
        let what = format!("{name} of {}", self.label);
        let pieces = TarSplitReader::new(what, Box::new(FileBlob::whole(split)), &self.limits);
        Ok(Box::new(RebuiltTar::new(pieces, files, self.limits.clone())))
    }

    fn is_manifest_made(&self) -> bool {
        self.documents.is_made()
    }
}
