//! The store itself as a source: an image that was imported before, opened by its manifest.
//!
//! It has the image's documents, and its layers as tars, not the blobs that the manifest names. A layer that has lost its
//! stream is missing.

use std::fmt;

use sealstone_store::{
    Optional, Repository, StreamName,
    splitstream::{Piece, SplitStreamReader},
};

use super::{Blob, Source};
use crate::{
    ConfigDigest, DiffId, Limits, ManifestDigest,
    error::{ImportError, Result},
    oci::{Descriptor, MediaType},
    pipeline::StoredTar,
    streams::{config_stream, layer_stream, manifest_stream},
};

/// An image in the store.
pub struct StoredImage {
    repository: Repository,
    manifest: ManifestDigest,
}

impl StoredImage {
    /// The image with this manifest; nothing is read yet.
    #[must_use]
    pub const fn new(repository: Repository, manifest: ManifestDigest) -> Self {
        Self { repository, manifest }
    }

    /// The bytes of the one object that a document's stream consists of.
    fn document(&self, stream: &StreamName, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(map) = self.repository.map_stream(stream).optional()? else { return Ok(None) };
        let mut reader = SplitStreamReader::new(&map, self.repository.algorithm())?;
        match reader.next_piece()? {
            Some(Piece::External(id)) => Ok(Some(self.repository.read_object(&id, limit)?)),
            _ => Err(ImportError::malformed(format!("stream {stream}"), "it does not start with an object")),
        }
    }
}

impl fmt::Debug for StoredImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredImage").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl Source for StoredImage {
    fn label(&self) -> String {
        format!("the store at {}", self.repository.dir().label().display())
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>> {
        let name = manifest_stream(&self.manifest)?;
        let bytes = self.document(&name, limits.document_bytes)?.ok_or_else(|| ImportError::Missing {
            what: format!("image {}", self.manifest),
            place: self.label(),
        })?;
        Ok(vec![Descriptor::new(MediaType::Manifest, *self.manifest.digest(), bytes.len() as u64)])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        let stream = match descriptor.media_type() {
            MediaType::Manifest => Some(manifest_stream(&self.manifest)?),
            MediaType::Config => Some(config_stream(&ConfigDigest::new(*descriptor.digest()))?),
            _ => None,
        };
        let bytes = match stream {
            Some(stream) => self.document(&stream, descriptor.size())?,
            None => None,
        };
        let missing =
            || ImportError::Missing { what: format!("{}", descriptor.digest()), place: self.label() };
        Ok(Box::new(Bytes::new(bytes.ok_or_else(missing)?)))
    }

    fn read_tar(
        &self,
        diff_id: &DiffId,
        read: &mut dyn FnMut(&mut dyn Blob, u64) -> Result<()>,
    ) -> Result<bool> {
        let Some(map) = self.repository.map_stream(&layer_stream(diff_id)?).optional()? else {
            return Ok(false);
        };
        let reader = SplitStreamReader::new(&map, self.repository.algorithm())?;
        let size = reader.stream_size();
        read(&mut StoredTar::new(&self.repository, reader), size)?;
        Ok(true)
    }
}

/// A blob in memory.
pub(crate) struct Bytes {
    bytes: Vec<u8>,
    given: usize,
}

impl Bytes {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, given: 0 }
    }
}

impl Blob for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let rest = self.bytes.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.given += count;
        Ok(count)
    }
}
