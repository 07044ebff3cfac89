//! Sources: where an image's documents and blobs come from.
//!
//! What lives here: the trait [`Source`], which an installer may implement for a place of its own, and the local ones:
//! an OCI layout as a directory ([`OciLayout`]) or as a tar of one ([`OciArchive`]), what `docker save` writes
//! ([`DockerArchive`]), what `skopeo copy` writes into a directory ([`ImageDir`]), podman's storage
//! ([`ContainersStorage`]), the tar of a layer ([`LayerTar`]).
//! Registries have a module of their own ([`registry`](crate::registry)). What never does: trust. Whatever a source hands
//! out is checked against the digest that named it, by the caller, while it streams.

mod archive;
mod bundle;
pub mod containers_storage;
mod dir;
mod docker_archive;
mod docker_manifest;
mod files;
mod held;
mod image_documents;
mod layer_tar;
mod layout;
mod opening;
mod reference;
mod select;
mod store;
mod tar_index;
mod unpacked;

use std::{fmt, sync::Arc};

use sealstone_store::disk::Disk;

pub use archive::OciArchive;
pub(crate) use bundle::{BUNDLE_INDEX, BUNDLE_MANIFEST, BUNDLE_REFERENCE, BUNDLE_ROLE, BUNDLE_TARS};
pub use bundle::{Bundle, BundledImage, BundledMember};
pub use containers_storage::ContainersStorage;
pub use dir::ImageDir;
pub use docker_archive::DockerArchive;
pub use docker_manifest::{DockerImage, DockerManifest};
pub use layer_tar::LayerTar;
pub use layout::OciLayout;
pub(crate) use layout::{MARKER_LIMIT, check_marker};
pub use opening::Opening;
pub use reference::{Choice, Reference, STANDARD_INPUT};
pub(crate) use store::Bytes;
pub use store::StoredImage;
pub(crate) use unpacked::Unpacked;

use crate::{
    DiffId, Digest, Limits,
    error::{ImportError, Result},
    oci::{Descriptor, MediaType},
};

/// A place that has the documents and blobs of an image.
pub trait Source: Send + Sync + fmt::Debug {
    /// The place, for messages: `oci:/images/base`.
    fn label(&self) -> String;

    /// Whether reading takes so long, or costs so much, that a layer is kept as soon as it is whole, even if the rest never
    /// comes. A sync of the disk each is too much for what lies on this machine.
    fn is_costly(&self) -> bool {
        false
    }

    /// What the reference names: usually one descriptor; several when they differ by platform.
    ///
    /// # Errors
    /// When there is nothing by that name, or more than one thing.
    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>>;

    /// The digest of what the reference names now, an index or a manifest, asked as cheaply as the place allows: a registry by
    /// one `HEAD`. As long as it is the one that an import [reported](crate::Imported::named_digest), nothing is new. `None`
    /// where the reference names several documents: only [`look`](crate::look) tells then. It is what the place says; whoever
    /// reads the document checks it.
    ///
    /// # Errors
    /// As [`roots`](Self::roots).
    fn named_digest(&self, limits: &Limits) -> Result<Option<Digest>> {
        let roots = self.roots(limits)?;
        Ok(if let [root] = roots.as_slice() { Some(*root.digest()) } else { None })
    }

    /// Opens a blob for reading from its start. Nobody believes its bytes before they are hashed.
    ///
    /// # Errors
    /// [`ImportError::Missing`] when the place lacks it.
    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>>;

    /// Opens `len` bytes of a blob, from `offset` on; `None` where the place cannot give parts cheaply.
    ///
    /// # Errors
    /// As [`open_blob`](Self::open_blob), and when the part does not lie within the blob.
    fn open_range(
        &self,
        _descriptor: &Descriptor,
        _offset: u64,
        _len: u64,
    ) -> Result<Option<Box<dyn Blob + '_>>> {
        Ok(None)
    }

    /// Passes a layer's tar to `read`, with its size in bytes, if the place has the tar itself and not the blob that the
    /// manifest names. Nobody believes that either. Gives whether it did.
    ///
    /// # Errors
    /// When the place fails, and what `read` returns.
    fn read_tar(
        &self,
        _diff_id: &DiffId,
        _read: &mut dyn FnMut(&mut dyn Blob, u64) -> Result<()>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Whether the place has no manifest, so that the source made one: its digest is then known nowhere else.
    fn is_manifest_made(&self) -> bool {
        false
    }
}

/// An open blob.
pub trait Blob: Send {
    /// Reads some of what follows; 0 is the end.
    ///
    /// # Errors
    /// When the place fails.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// Bytes in memory, handed out from their start.
impl Blob for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let (now, later) = self.split_at(self.len().min(buffer.len()));
        for (place, byte) in buffer.iter_mut().zip(now) {
            *place = *byte;
        }
        *self = later;
        Ok(now.len())
    }
}

/// Opens the source that a reference names, if it is on this machine and can be read in place. [`Opening`] also opens
/// what has to be copied first; a registry needs settings ([`RegistrySource`](crate::registry::RegistrySource)).
///
/// # Errors
/// When it is not there, or not what the reference says.
pub fn open(disk: &Arc<dyn Disk>, reference: &Reference, limits: &Limits) -> Result<Box<dyn Source>> {
    Opening::new(disk, limits).open(reference)
}

/// Reads until `buffer` is full or the blob ends; says how much was read.
pub(crate) fn fill(blob: &mut dyn Blob, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..)
        && !room.is_empty()
    {
        match blob.read(room)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The index that a source names, byte for byte and checked; none where it names an image itself, or several things.
///
/// # Errors
/// When it cannot be read, or is not what its digest says.
pub fn read_index(source: &dyn Source, limits: &Limits) -> Result<Option<Vec<u8>>> {
    let roots = source.roots(limits)?;
    match roots.as_slice() {
        [root] if *root.media_type() == MediaType::Index => {
            read_document(source, root, "index", limits).map(Some)
        }
        _ => Ok(None),
    }
}

/// Reads a document whole, and checks its size and digest. `kind` is its name in errors.
pub(crate) fn read_document(
    source: &dyn Source,
    descriptor: &Descriptor,
    kind: &str,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let what = || format!("{kind} {}", descriptor.digest());
    if descriptor.size() > limits.document_bytes {
        return Err(ImportError::TooBig {
            what: format!("{} ({} bytes)", what(), descriptor.size()),
            limit: limits.document_bytes,
        });
    }
    let size = usize::try_from(descriptor.size()).unwrap_or(usize::MAX);
    // One byte more than promised, so that a longer document is seen.
    let mut bytes = vec![0; size.saturating_add(1)];
    let found = fill(&mut *source.open_blob(descriptor)?, &mut bytes)?;
    if found != size {
        return Err(ImportError::Size { what: what(), expected: descriptor.size(), actual: found as u64 });
    }
    bytes.truncate(size);
    let actual = Digest::of(descriptor.digest().algorithm(), &bytes);
    if actual != *descriptor.digest() {
        return Err(ImportError::digest(what(), descriptor.digest(), &actual));
    }
    Ok(bytes)
}
