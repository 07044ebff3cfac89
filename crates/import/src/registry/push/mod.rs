//! [`RegistryTarget`]: the writing half of the client of registries.
//!
//! Order: blobs, side by side; then the manifest, which names them; then the registry is asked for it again. What is
//! there already is not sent, and what another repository of the registry has is mounted from there.
//! Invariant: nothing of an image can be seen by its tag before all of it is there; what a registry says that it stored is
//! compared with what we sent.

mod target;
mod upload;

use sealstone_store::{Control, Repository, disk::Dir, layout};

use super::{RegistryEndpoint, RegistryReference, RegistrySettings};
use crate::{
    Digest, ManifestDigest,
    error::{ImportError, Result},
    export::{self, ExportOptions, ExportReport, Outgoing, Packed, Sink},
};
pub use target::RegistryTarget;

/// What a push may be told. Start from [`PushOptions::default`] and change what you must.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PushOptions {
    /// What the blobs are made to be, and the bounds of documents.
    pub export: ExportOptions,
    /// Repositories of the same registry that may have blobs of the image: they are mounted from there.
    pub mount_from: Vec<String>,
    /// Where blobs are made before they are sent; by default in the store.
    pub scratch: Option<Dir>,
}

/// Pushes an image of the store to the place that a reference names, by its tag, or by its digest alone. With a digest,
/// nothing but the manifest of that digest is pushed.
///
/// # Errors
/// [`ImportError::Unsupported`] for a registry that takes no pushes, [`ImportError::Unauthorized`] without the rights to,
/// [`ImportError::Digest`] when it stored something else, or the image went out with another manifest than the reference
/// has the digest of; otherwise as reading from registries.
pub fn push(
    repository: &Repository,
    manifest: &ManifestDigest,
    reference: &RegistryReference,
    endpoint: RegistryEndpoint,
    settings: &RegistrySettings,
    options: &PushOptions,
    control: &Control,
) -> Result<ExportReport> {
    let scratch = match &options.scratch {
        Some(scratch) => scratch.clone(),
        None => repository
            .dir()
            .ensure_dir(layout::OWN, layout::FOLDER_MODE)?
            .ensure_dir(layout::TEMPORARY, layout::FOLDER_MODE)?,
    };
    let target = RegistryTarget::new(endpoint, settings, &options.mount_from);
    let name = reference.tag().map(str::to_owned);
    let push = Push { target, scratch, name, wanted: reference.digest().copied() };
    export::run(repository, manifest, &push, &options.export, control)
}

/// One image on its way.
struct Push {
    target: RegistryTarget,
    scratch: Dir,
    name: Option<String>,
    wanted: Option<Digest>,
}

impl Sink for Push {
    fn scratch(&self) -> &Dir {
        &self.scratch
    }

    fn has(&self, digest: &Digest, size: u64, control: &Control) -> Result<bool> {
        self.target.has_or_mounts(digest, size, control)
    }

    fn put_layer(&self, _order: usize, blob: Packed, control: &Control) -> Result<()> {
        self.target.put_file(&blob.digest, blob.spool.file(), blob.size, control)
    }

    fn put_config(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()> {
        self.target.put_bytes(digest, bytes, control)
    }

    fn put_manifest(&self, manifest: &Outgoing<'_>, control: &Control) -> Result<()> {
        if let Some(wanted) = self.wanted.filter(|wanted| *wanted != manifest.digest) {
            let what = format!("the manifest that would be pushed to {}", self.target.place());
            return Err(ImportError::digest(what, &wanted, &manifest.digest));
        }
        let name = self.name.clone().unwrap_or_else(|| manifest.digest.to_string());
        control.check()?;
        self.target.put_manifest(&name, manifest.media_type, manifest.bytes)
    }
}
