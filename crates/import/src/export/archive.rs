//! A tar of an OCI layout, made beside its place and renamed into it when it is whole.
//!
//! Blobs are made first, each in a file without a name, since layers come side by side and a tar has one order: blobs by
//! their place in the image, then the documents. The same image gives the same bytes.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sealstone_store::{
    Control, Optional,
    control::{Unit, Work},
    disk::{Dir, Disk, File, FileType},
};

use super::{
    index::{self, MARKER},
    member::header,
    pack::Packed,
    sink::{Outgoing, Sink},
    split,
    spool::Spool,
};
use crate::{
    Digest,
    error::{ImportError, Result},
    tar::Ustar,
};

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// An archive that is to be.
pub(super) struct ArchiveSink {
    parent: Dir,
    name: String,
    tag: Option<String>,
    place: String,
    /// The layers so far, with their places in the image.
    layers: Mutex<Vec<(usize, Packed)>>,
    /// Configurations, and in a bundle manifests.
    documents: Mutex<Vec<(Digest, Vec<u8>)>>,
}

impl ArchiveSink {
    pub(super) fn open(disk: &Arc<dyn Disk>, path: &Path, tag: Option<String>) -> Result<Self> {
        let place = format!("oci-archive:{}", path.display());
        let (parent, name) = split(path, &place)?;
        let parent = Dir::open(disk, parent)?;
        let there = parent.metadata(name).optional()?;
        if there.is_some_and(|there| there.kind != FileType::File) {
            let reason = "there is something else than a file of this name".to_owned();
            return Err(ImportError::Reference { text: place, reason });
        }
        let name = name.to_owned();
        Ok(Self { parent, name, tag, place, layers: Mutex::default(), documents: Mutex::default() })
    }
}

/// The tar while it is written.
struct Tar<'a> {
    file: &'a File,
    at: u64,
    names: Vec<String>,
}

impl Tar<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Begins a member; false when the archive has it.
    fn begin(&mut self, name: &str, size: u64) -> Result<bool> {
        if self.names.iter().any(|known| known == name) {
            return Ok(false);
        }
        self.names.push(name.to_owned());
        self.write(&header(name, size))?;
        Ok(true)
    }

    /// Fills the last block. What lies between is a hole, so it is zeros.
    fn end(&mut self) {
        self.at = self.at.next_multiple_of(Ustar::BLOCK);
    }

    fn folder(&mut self, name: &str) -> Result<()> {
        self.begin(name, 0).map(drop)
    }

    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.begin(name, bytes.len() as u64)? {
            self.write(bytes)?;
            self.end();
        }
        Ok(())
    }

    fn blob(&mut self, blob: &Packed, control: &Control) -> Result<()> {
        self.folder(&format!("blobs/{}/", blob.digest.algorithm().name()))?;
        if !self.begin(&member_name(&blob.digest), blob.size)? {
            return Ok(());
        }
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < blob.size {
            control.check()?;
            let left = usize::try_from(blob.size - at).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..left).unwrap_or_default();
            blob.spool.file().read_exact_at(at, piece)?;
            self.write(piece)?;
            at += left as u64;
        }
        self.end();
        Ok(())
    }
}

fn member_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.to_hex())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for ArchiveSink {
    fn scratch(&self) -> &Dir {
        &self.parent
    }

    fn has(&self, _digest: &Digest, _size: u64, _control: &Control) -> Result<bool> {
        Ok(false)
    }

    fn put_layer(&self, order: usize, blob: Packed, _control: &Control) -> Result<()> {
        lock(&self.layers).push((order, blob));
        Ok(())
    }

    fn put_config(&self, digest: &Digest, bytes: &[u8], _control: &Control) -> Result<()> {
        lock(&self.documents).push((*digest, bytes.to_vec()));
        Ok(())
    }

    fn put_manifest(&self, manifest: &Outgoing<'_>, control: &Control) -> Result<()> {
        let index = index::with_image(None, manifest, self.tag.as_deref(), &self.place)?;
        let spool = Spool::create(&self.parent)?;
        let mut tar = Tar { file: spool.file(), at: 0, names: Vec::new() };
        tar.folder("blobs/")?;
        tar.folder("blobs/sha256/")?;
        let mut layers = std::mem::take(&mut *lock(&self.layers));
        layers.sort_by_key(|(order, _)| *order);
        for (_, blob) in layers {
            // Each goes, with its space, when it was copied.
            tar.blob(&blob, control)?;
        }
        for (digest, bytes) in std::mem::take(&mut *lock(&self.documents)) {
            tar.folder(&format!("blobs/{}/", digest.algorithm().name()))?;
            tar.document(&member_name(&digest), &bytes)?;
        }
        tar.document(&member_name(&manifest.digest), manifest.bytes)?;
        tar.document("index.json", &index)?;
        tar.document("oci-layout", MARKER)?;
        // Two blocks of zeros end a tar.
        spool.file().set_len(tar.at + 2 * Ustar::BLOCK)?;
        let task = control.start(Work::Sync, String::new(), None, Unit::Items);
        // D3: content, name, folder.
        spool.publish(&self.parent, &self.name)?;
        self.parent.sync()?;
        task.finish();
        Ok(())
    }
}
