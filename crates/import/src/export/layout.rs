//! An OCI layout in a directory, written so that it is whole at any moment.
//!
//! Order: blobs (content, name, folder), then `oci-layout`, then `index.json` by a rename, the one step that makes the
//! image visible. A cut at any point leaves the index that was there, and at most blobs that it does not name, each of
//! them whole.

use std::{path::Path, sync::Arc};

use sealstone_store::{
    Control, Optional,
    disk::{Dir, Disk, FileType, Lock, Wait},
};

use super::{
    index::{self, MARKER},
    pack::{Packed, has_digest},
    sink::{Outgoing, Sink},
    split,
    spool::{PREFIX, Spool},
};
use crate::{
    Digest, Limits,
    error::{ImportError, Result},
    source::{MARKER_LIMIT, check_marker},
};

const FOLDER_MODE: u16 = 0o755;

/// A layout that gains an image.
pub(super) struct LayoutSink {
    dir: Dir,
    /// The folder that it is in, if it is a new one.
    parent: Option<Dir>,
    blobs: Dir,
    /// `blobs/sha256`.
    sha256: Dir,
    tag: Option<String>,
    limits: Limits,
    /// For messages.
    place: String,
}

impl LayoutSink {
    /// Opens the layout, or makes its folders.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        tag: Option<String>,
        limits: &Limits,
    ) -> Result<Self> {
        let place = format!("oci:{}", path.display());
        let dir = if let Some(dir) = Dir::open(disk, path).optional()? {
            dir
        } else {
            let (parent, name) = split(path, &place)?;
            Dir::open(disk, parent)?.ensure_dir(name, FOLDER_MODE)?
        };
        check_folder(&dir, &place, limits)?;
        let parent = if dir.exists("oci-layout")? { None } else { Some(Dir::open(disk, path.join(".."))?) };
        let blobs = dir.ensure_dir("blobs", FOLDER_MODE)?;
        let sha256 = blobs.ensure_dir("sha256", FOLDER_MODE)?;
        Ok(Self { dir, parent, blobs, sha256, tag, limits: limits.clone(), place })
    }

    fn folder_of(&self, digest: &Digest) -> Result<Dir> {
        Ok(self.blobs.ensure_dir(digest.algorithm().name(), FOLDER_MODE)?)
    }

    /// Gives a blob its name, unless the right one has it.
    fn publish(&self, spool: Spool, digest: &Digest, size: u64, control: &Control) -> Result<()> {
        if self.has(digest, size, control)? {
            return Ok(());
        }
        spool.publish(&self.folder_of(digest)?, &digest.to_hex())
    }

    fn put_document(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()> {
        let spool = Spool::create(&self.sha256)?;
        spool.file().write_all_at(0, bytes)?;
        self.publish(spool, digest, bytes.len() as u64, control)
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let spool = Spool::create(&self.dir)?;
        spool.file().write_all_at(0, bytes)?;
        spool.publish(&self.dir, name)
    }

    /// Makes the image visible, while no other export of ours changes the index.
    fn write_index(&self, manifest: &Outgoing<'_>) -> Result<()> {
        let old = match self.dir.open_file("index.json").optional()? {
            Some(file) => Some(file.read_all(self.limits.document_bytes)?),
            None => None,
        };
        let new = index::with_image(old.as_deref(), manifest, self.tag.as_deref(), &self.place)?;
        if old.as_deref() != Some(&new) {
            self.write_file("index.json", &new)?;
        }
        Ok(self.dir.sync()?)
    }
}

/// Refuses a folder that is no layout, before anything is written.
fn check_folder(dir: &Dir, place: &str, limits: &Limits) -> Result<()> {
    if let Some(marker) = dir.open_file("oci-layout").optional()? {
        check_marker(&marker.read_all(MARKER_LIMIT)?, place)?;
        if let Some(file) = dir.open_file("index.json").optional()? {
            index::check(&file.read_all(limits.document_bytes)?, place)?;
        }
        return Ok(());
    }
    // What an export that was cut off leaves may stand in it.
    let is_ours = |name: &[u8]| name == b"blobs" || name.starts_with(PREFIX.as_bytes());
    if dir.read_dir()?.iter().all(|entry| is_ours(entry.name.as_encoded_bytes())) {
        return Ok(());
    }
    Err(ImportError::unsupported(
        format!("folder {}", dir.label().display()),
        "it holds other files and is no OCI layout",
    ))
}

impl Sink for LayoutSink {
    fn scratch(&self) -> &Dir {
        &self.sha256
    }

    fn has(&self, digest: &Digest, size: u64, control: &Control) -> Result<bool> {
        let name = format!("{}/{}", digest.algorithm().name(), digest.to_hex());
        let Some(file) = self.blobs.open_file(name).optional()? else { return Ok(false) };
        if file.metadata()?.kind != FileType::File || !has_digest(&file, digest, size, control)? {
            return Ok(false);
        }
        // D6: who wrote it may not have made it durable.
        file.sync()?;
        Ok(true)
    }

    fn put_layer(&self, _order: usize, blob: Packed, control: &Control) -> Result<()> {
        self.publish(blob.spool, &blob.digest, blob.size, control)
    }

    fn put_config(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()> {
        self.put_document(digest, bytes, control)
    }

    fn put_manifest(&self, manifest: &Outgoing<'_>, control: &Control) -> Result<()> {
        self.put_document(&manifest.digest, manifest.bytes, control)?;
        // D3: the names of all blobs, before anything names them.
        for entry in self.blobs.read_dir()? {
            if entry.kind == FileType::Directory {
                self.blobs.open_dir(&entry.name)?.sync()?;
            }
        }
        self.blobs.sync()?;
        if !self.dir.exists("oci-layout")? {
            self.write_file("oci-layout", MARKER)?;
        }
        self.dir.sync()?;
        // D3: a new folder is there only when the one that it is in says so.
        self.parent.as_ref().map_or(Ok(()), Dir::sync)?;
        control.check()?;
        self.dir.lock(Lock::Exclusive, Wait::Block)?;
        let written = self.write_index(manifest);
        let unlocked = self.dir.lock(Lock::Unlock, Wait::Block);
        written?;
        Ok(unlocked?)
    }
}
