//! [`push_artifacts`]: files into a registry, as one artifact or as several under one tag.
//!
//! Each file becomes an artifact of its own, as ORAS makes them: the empty configuration and one layer. Several, or one
//! with an architecture or a disk type, are named by an index, which is what [`find_artifact`](super::find_artifact) and Ironic choose from.
//! Everything is made of the files and their descriptions alone: the same files make the same digests.

use sealstone_store::{Control, disk::File};
use serde_json::{Value, json};

use super::disk_type::{DISK_TYPE, DiskType};
use crate::{
    Digest, DigestAlgorithm, DigestHasher, ManifestDigest,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{MediaType, Platform},
    registry::RegistryTarget,
};

/// The one configuration of all artifacts (image-spec, manifest.md).
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EMPTY_BYTES: &[u8] = b"{}";

/// Bytes hashed at a time.
const READ: usize = 1 << 20;

/// A file to be pushed.
#[derive(Debug)]
#[non_exhaustive]
pub struct ArtifactFile {
    /// The file. It must not change meanwhile: the registry would refuse it.
    pub file: File,
    /// The name that it is given.
    pub title: Option<String>,
    /// Its media type; by default what its first bytes say, of gzip and zstd, else `application/octet-stream`.
    pub media_type: Option<String>,
    /// What disk image it is.
    pub disk_type: Option<DiskType>,
    /// What it runs on.
    pub platform: Option<Platform>,
}

impl ArtifactFile {
    /// A file of which nothing more is said.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self { file, title: None, media_type: None, disk_type: None, platform: None }
    }

    /// Whether it has to be told apart from others by an index.
    const fn is_described(&self) -> bool {
        self.disk_type.is_some() || self.platform.is_some()
    }

    fn media_type(&self) -> Result<String> {
        if let Some(kind) = &self.media_type {
            return Ok(kind.clone());
        }
        let mut start = [0; 6];
        let count = self.file.read_at(0, &mut start)?;
        let kind = match Compression::detect(start.get(..count).unwrap_or_default()) {
            Ok(Compression::Gzip) => "application/gzip",
            Ok(Compression::Zstd) => "application/zstd",
            _ => "application/octet-stream",
        };
        Ok(kind.to_owned())
    }
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushedArtifacts {
    /// What the tag leads to: the index, or the one manifest.
    pub named: Digest,
    /// The artifacts, in the order of their files: the manifest, the file's blob, and its size in bytes.
    pub files: Vec<(ManifestDigest, Digest, u64)>,
}

/// Pushes files under one tag, in place of what it leads to now. The tag moves when all of them are there.
///
/// # Errors
/// [`ImportError::Ambiguous`] when two files could not be told apart; the registry's refusals; and when a file changes
/// meanwhile.
pub fn push_artifacts(
    target: &RegistryTarget,
    tag: &str,
    artifact_type: &str,
    files: &[ArtifactFile],
    control: &Control,
) -> Result<PushedArtifacts> {
    check(files, tag)?;
    let empty = Digest::of(DigestAlgorithm::Sha256, EMPTY_BYTES);
    target.put_bytes(&empty, EMPTY_BYTES, control)?;
    let is_single = matches!(files, [file] if !file.is_described());
    let (manifest_type, index_type) = (name_of(&MediaType::Manifest), name_of(&MediaType::Index));
    let mut pushed = Vec::new();
    let mut entries = Vec::new();
    for file in files {
        let (digest, size) = hash(&file.file, control)?;
        target.put_file(&digest, &file.file, size, control)?;
        let manifest = manifest(file, &digest, size, &empty, artifact_type)?.to_string();
        let manifest_digest = Digest::of(DigestAlgorithm::Sha256, manifest.as_bytes());
        control.check()?;
        let name = if is_single { tag.to_owned() } else { manifest_digest.to_string() };
        target.put_manifest(&name, manifest_type, manifest.as_bytes())?;
        entries.push(entry(file, &manifest_digest, manifest.len(), artifact_type));
        pushed.push((ManifestDigest::new(manifest_digest), digest, size));
    }
    let named = if is_single {
        pushed.first().map_or(empty, |(manifest, _, _)| *manifest.digest())
    } else {
        let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": entries}).to_string();
        target.put_manifest(tag, index_type, index.as_bytes())?;
        Digest::of(DigestAlgorithm::Sha256, index.as_bytes())
    };
    Ok(PushedArtifacts { named, files: pushed })
}

/// Whoever fetches has to be able to say which one is meant.
fn check(files: &[ArtifactFile], tag: &str) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let twin =
            |other: &&ArtifactFile| (other.disk_type, &other.platform) == (file.disk_type, &file.platform);
        if files.iter().take(number).find(twin).is_some() {
            let name = |file: &ArtifactFile| file.file.label().display().to_string();
            let choices = files.iter().filter(twin).map(name).collect();
            return Err(ImportError::Ambiguous { place: format!("the tag {tag:?}"), choices });
        }
    }
    Ok(())
}

fn name_of(kind: &MediaType) -> &'static str {
    kind.oci_name().unwrap_or_default()
}

fn hash(file: &File, control: &Control) -> Result<(Digest, u64)> {
    let mut hasher = DigestHasher::new(DigestAlgorithm::Sha256);
    let mut buffer = vec![0; READ];
    let mut at = 0;
    loop {
        control.check()?;
        match file.read_at(at, &mut buffer)? {
            0 => return Ok((hasher.finish(), at)),
            count => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                at += count as u64;
            }
        }
    }
}

fn manifest(
    file: &ArtifactFile,
    digest: &Digest,
    size: u64,
    empty: &Digest,
    artifact_type: &str,
) -> Result<Value> {
    let mut layer = json!({"mediaType": file.media_type()?, "digest": digest.to_string(), "size": size});
    if let Some(title) = &file.title {
        put(&mut layer, "annotations", json!({"org.opencontainers.image.title": title}));
    }
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": name_of(&MediaType::Manifest), "artifactType": artifact_type,
        "config": {"mediaType": EMPTY, "digest": empty.to_string(), "size": EMPTY_BYTES.len(), "data": "e30="},
        "layers": [layer],
    });
    if let Some(disk_type) = file.disk_type {
        // Here as well, for who comes by digest.
        put(&mut manifest, "annotations", json!({DISK_TYPE: disk_type.name()}));
    }
    Ok(manifest)
}

fn entry(file: &ArtifactFile, digest: &Digest, size: usize, artifact_type: &str) -> Value {
    let mut entry = json!({
        "mediaType": name_of(&MediaType::Manifest), "digest": digest.to_string(), "size": size,
        "artifactType": artifact_type,
    });
    if let Some(platform) = &file.platform {
        let mut value = json!({"os": platform.os(), "architecture": platform.architecture()});
        if let Some(variant) = platform.variant() {
            put(&mut value, "variant", json!(variant));
        }
        put(&mut entry, "platform", value);
    }
    if let Some(disk_type) = file.disk_type {
        put(&mut entry, "annotations", json!({DISK_TYPE: disk_type.name()}));
    }
    entry
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
