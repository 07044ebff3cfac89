//! [`Sink`]: where an image goes out to: a layout, an archive, a registry.

use sealstone_store::{Control, disk::Dir};

use super::pack::Packed;
use crate::{Digest, error::Result};

/// A place that takes an image: blobs first, from several threads, the manifest last.
pub(crate) trait Sink: Sync {
    /// The folder on whose file system blobs are made.
    fn scratch(&self) -> &Dir;

    /// Whether the place has this blob already, byte for byte.
    fn has(&self, digest: &Digest, size: u64, control: &Control) -> Result<bool>;

    /// Takes a layer's blob. `order` is its place among the image's layers.
    fn put_layer(&self, order: usize, blob: Packed, control: &Control) -> Result<()>;

    /// Takes the configuration; its digest was checked.
    fn put_config(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()>;

    /// Takes the manifest, and makes the image visible. Everything that it names was taken before.
    fn put_manifest(&self, manifest: &Outgoing<'_>, control: &Control) -> Result<()>;
}

/// The manifest of an image that goes out.
pub(crate) struct Outgoing<'a> {
    pub(crate) media_type: &'a str,
    pub(crate) digest: Digest,
    pub(crate) bytes: &'a [u8],
}
