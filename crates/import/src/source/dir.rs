//! A manifest and its blobs in one directory, as skopeo and podman write it: `dir:DIR`.
//!
//! `manifest.json` is a manifest or an index, of which the digest is computed here; blobs are files called by the digits of
//! their digest, an index's manifests `<digits>.manifest.json`. Signatures are not read.
//!
//! Source of the format: containers/image, `directory/directory_transport.go` and `directory_dest.go`.

use std::{path::Path, sync::Arc};

use sealstone_store::disk::{Dir, Disk, File};

use super::{
    Blob, Source,
    files::{FileBlob, find_file, open_file, read_file},
};
use crate::{
    Digest, DigestAlgorithm, Limits,
    error::{ImportError, Result},
    oci::{Descriptor, Document, MediaType},
};

/// The most that `version` may hold, in bytes: a line.
const VERSION_LIMIT: u64 = 4096;

/// What `version` starts with, before the number.
const VERSION: &[u8] = b"Directory Transport Version: ";

/// An image in a directory of its own.
#[derive(Debug)]
pub struct ImageDir {
    dir: Dir,
    root: Descriptor,
    manifest: Vec<u8>,
}

impl ImageDir {
    /// Opens the directory and reads its manifest.
    ///
    /// # Errors
    /// When there is no such directory, or it has no manifest, or is of a version that we do not know.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, limits: &Limits) -> Result<Self> {
        let dir = Dir::open(disk, path)?;
        let place = format!("dir:{}", path.display());
        if let Some(version) = find_file(&dir, "version", VERSION_LIMIT)?
            && !version.strip_prefix(VERSION).is_some_and(|number| number.starts_with(b"1."))
        {
            let found = String::from_utf8_lossy(&version);
            let reason = format!("its version is {:?}, not 1.x", found.trim_end());
            return Err(ImportError::unsupported(place, reason));
        }
        let manifest = read_file(&dir, "manifest.json", limits.document_bytes)?;
        let media_type = match Document::parse(&manifest, None) {
            Ok(Document::Index(_)) => MediaType::Index,
            Ok(Document::Manifest(_)) => MediaType::Manifest,
            Err(reason) => return Err(ImportError::malformed(format!("manifest.json of {place}"), reason)),
        };
        let digest = Digest::of(DigestAlgorithm::Sha256, &manifest);
        let root = Descriptor::new(media_type, digest, manifest.len() as u64);
        Ok(Self { dir, root, manifest })
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let digest = descriptor.digest();
        let name = match digest.algorithm() {
            DigestAlgorithm::Sha256 => digest.to_hex(),
            DigestAlgorithm::Sha512 => format!("sha512-{}", digest.to_hex()),
        };
        if matches!(descriptor.media_type(), MediaType::Manifest | MediaType::Index)
            && let Some(file) = open_file(&self.dir, &format!("{name}.manifest.json"))?
        {
            return Ok(Some(file));
        }
        open_file(&self.dir, &name)
    }
}

impl Source for ImageDir {
    fn label(&self) -> String {
        format!("dir:{}", self.dir.label().display())
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>> {
        Ok(vec![self.root.clone()])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        if descriptor.digest() == self.root.digest() {
            return Ok(Box::new(self.manifest.as_slice()));
        }
        let file = self.file(descriptor)?.ok_or_else(|| ImportError::Missing {
            what: format!("blob {}", descriptor.digest()),
            place: self.label(),
        })?;
        Ok(Box::new(FileBlob::whole(file)))
    }
}
