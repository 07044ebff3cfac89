//! What `docker save` writes: a tar with `manifest.json`, configurations and layers: `docker-archive:FILE[:NAME|@N]`.
//!
//! It has no manifest in OCI's sense, so one is made of what is there. The only thing that the archive says about a
//! layer's bytes is the configuration's diff_id: a plain layer is named by it, and so checked against it; a compressed one
//! is named by the digest that we compute, and the tar in it is checked by the import as ever.
//!
//! Names of configurations are those that Docker, go-containerregistry and kaniko write.

use std::collections::HashMap;

use super::{
    Blob, Choice, DockerManifest, Source, fill,
    image_documents::ImageDocuments,
    tar_index::{Span, TarIndex},
};
use crate::{
    DiffId, Digest, DigestAlgorithm, DigestHasher, Limits,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Config, Descriptor, MediaType},
};

/// How much of a compressed layer is hashed at a time, in bytes.
const STEP: usize = 256 << 10;

/// One image of a docker-archive.
#[derive(Debug)]
pub struct DockerArchive {
    index: TarIndex,
    documents: ImageDocuments,
    layers: HashMap<Digest, Span>,
}

impl DockerArchive {
    /// Takes an indexed archive, and makes the chosen image's manifest; compressed layers are hashed for it.
    pub(super) fn new(index: TarIndex, choice: &Choice, limits: &Limits) -> Result<Self> {
        let manifest = read_manifest(&index, limits)?;
        let image = manifest.find(choice, index.label())?;
        let bytes = index.read(&normal(&image.config), limits.document_bytes)?;
        let what = format!("configuration {} of {}", image.config, index.label());
        check_name(&image.config, &bytes, &what)?;
        let config = Config::parse(&bytes).map_err(|reason| ImportError::malformed(what.clone(), reason))?;
        if config.diff_ids.len() != image.layers.len() {
            let reason = format!(
                "it has {} diff_ids for the {} layers of manifest.json",
                config.diff_ids.len(),
                image.layers.len()
            );
            return Err(ImportError::malformed(what, reason));
        }
        if image.layers.len() > limits.layers {
            let what = format!("{} ({} layers)", index.label(), image.layers.len());
            return Err(ImportError::TooBig { what, limit: limits.layers as u64 });
        }
        let mut layers = HashMap::new();
        let mut descriptors = Vec::new();
        for (path, diff_id) in image.layers.iter().zip(&config.diff_ids) {
            let span = index.member(&normal(path))?;
            let descriptor = describe(&index, path, span, diff_id)?;
            layers.insert(*descriptor.digest(), span);
            descriptors.push(descriptor);
        }
        Ok(Self { index, documents: ImageDocuments::made(bytes, &descriptors), layers })
    }
}

/// Reads the list of images.
fn read_manifest(index: &TarIndex, limits: &Limits) -> Result<DockerManifest> {
    if !index.has("manifest.json") {
        let refuse = |reason| Err(ImportError::unsupported(index.label(), reason));
        if index.has("oci-layout") {
            return refuse("it is a tar of an OCI layout: read it as oci-archive:");
        }
        if index.has("repositories") {
            return refuse("it was made before Docker 1.10, without manifest.json: save the image again");
        }
    }
    let bytes = index.read("manifest.json", limits.document_bytes)?;
    DockerManifest::parse(&bytes)
        .map_err(|reason| ImportError::malformed(format!("manifest.json of {}", index.label()), reason))
}

/// A member's path as the index has it.
fn normal(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// Where the configuration is named by its own digest, as every known writer does, it has to be that.
fn check_name(path: &str, bytes: &[u8], what: &str) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let digits = name.strip_suffix(".json").unwrap_or(name);
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    let Ok(stated) = format!("sha256:{digits}").parse::<Digest>() else { return Ok(()) };
    let actual = Digest::of(DigestAlgorithm::Sha256, bytes);
    if stated == actual { Ok(()) } else { Err(ImportError::digest(what, &stated, &actual)) }
}

/// A layer's descriptor: what it is by its first bytes, and named by its diff_id if those are the tar.
fn describe(index: &TarIndex, path: &str, span: Span, diff_id: &DiffId) -> Result<Descriptor> {
    let mut buffer = vec![0; STEP];
    let mut blob = index.open(span);
    let mut count = fill(&mut blob, &mut buffer)?;
    let compression = Compression::detect(buffer.get(..count).unwrap_or_default()).map_err(|source| {
        ImportError::Decode { what: format!("layer {path} of {}", index.label()), source }
    })?;
    let media_type = MediaType::Layer(compression);
    if compression == Compression::None {
        return Ok(Descriptor::new(media_type, *diff_id.digest(), span.len));
    }
    let mut hasher = DigestHasher::new(DigestAlgorithm::Sha256);
    while count > 0 {
        hasher.update(buffer.get(..count).unwrap_or_default());
        count = fill(&mut blob, &mut buffer)?;
    }
    Ok(Descriptor::new(media_type, hasher.finish(), span.len))
}

impl Source for DockerArchive {
    fn label(&self) -> String {
        self.index.label().to_owned()
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>> {
        Ok(vec![self.documents.root()])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        if let Some(document) = self.documents.open(descriptor.digest()) {
            return Ok(document);
        }
        let span = self.layers.get(descriptor.digest()).ok_or_else(|| ImportError::Missing {
            what: format!("blob {}", descriptor.digest()),
            place: self.label(),
        })?;
        Ok(Box::new(self.index.open(*span)))
    }

    fn is_manifest_made(&self) -> bool {
        self.documents.is_made()
    }
}
