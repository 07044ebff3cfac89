//! The names that a transaction publishes, and the order in which it does (rule D3).
//!
//! Names are symlinks, which cannot be synced: each is made in our temporary folder and renamed into place, and then
//! both folders are synced. First the images and streams, and only when those are durable the refs: a ref, from which
//! gc starts, never outlives a power cut that took what it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    Error, ObjectId, Place, RefName, RefTarget, Repository, Result, StreamName,
    contents::{self, Sealed},
    disk::Dir,
    error::Optional,
    layout,
    temporary::{Staging, Temporary},
};

/// What a transaction will name.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) streams: BTreeMap<StreamName, ObjectId>,
    pub(crate) images: BTreeSet<ObjectId>,
    pub(crate) refs: BTreeMap<(Place, RefName), RefTarget>,
    pub(crate) records: BTreeMap<String, Temporary>,
    pub(crate) kernels: BTreeMap<String, Temporary>,
    pub(crate) origins: BTreeMap<String, Temporary>,
    pub(crate) contents: Sealed,
}

impl Names {
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.images.is_empty()
            && self.refs.is_empty()
            && self.records.is_empty()
            && self.kernels.is_empty()
            && self.origins.is_empty()
            && self.contents.is_empty()
    }

    /// Publishes everything; what the names stand for is durable already.
    pub(crate) fn publish(self, repository: &Repository) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let publisher = Publisher { root: repository.dir(), staging: repository.staging()? };
        self.check_ref_targets(repository)?;
        let streams = self.streams.iter().map(|(name, id)| (name.to_string(), layout::object_link(id)));
        publisher.entries(Place::Streams, streams)?;
        let images = self.images.iter().map(|id| (id.to_hex(), layout::object_link(id)));
        publisher.entries(Place::Images, images)?;
        publisher.refs(&self.refs)?;
        publisher.own_files(layout::LAYERS, self.records)?;
        publisher.own_files(layout::KERNELS, self.kernels)?;
        publisher.own_files(layout::ORIGINS, self.origins)?;
        contents::publish(repository, self.contents)
    }

    /// A ref to nothing would stop every gc: it is refused before anything is named.
    fn check_ref_targets(&self, repository: &Repository) -> Result<()> {
        for target in self.refs.values() {
            let known = match target {
                RefTarget::Image(id) => self.images.contains(id) || repository.has_image(id)?,
                RefTarget::Stream(name) => {
                    self.streams.contains_key(name) || repository.stream(name).optional()?.is_some()
                }
            };
            if !known {
                return Err(Error::Missing { what: target.to_string() });
            }
        }
        Ok(())
    }
}

struct Publisher<'a> {
    root: &'a Dir,
    staging: &'a Staging,
}

impl Publisher<'_> {
    /// Opens a folder, made if it is missing; its own name is durable then.
    fn folder(&self, parent: &Dir, name: &str) -> Result<Dir> {
        if let Some(dir) = parent.open_dir(name).optional()? {
            return Ok(dir);
        }
        let dir = self.staging.ensure_folder(parent, name)?;
        // D3: a new folder's name is in its parent.
        parent.sync()?;
        Ok(dir)
    }

    /// Publishes entries of `streams/` or `images/`.
    fn entries(&self, place: Place, entries: impl Iterator<Item = (String, String)>) -> Result<()> {
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        let folder = self.folder(self.root, place.folder())?;
        for (name, text) in entries {
            self.place(&text, &folder, &name)?;
        }
        self.sync(&folder)
    }

    fn refs(&self, refs: &BTreeMap<(Place, RefName), RefTarget>) -> Result<()> {
        for ((place, name), target) in refs {
            let mut folder = self.folder(&self.folder(self.root, place.folder())?, layout::REFS)?;
            let mut parts = name.as_str().split('/').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_some() {
                    folder = self.folder(&folder, part)?;
                } else {
                    self.place(&layout::ref_link(name, &target.entry()), &folder, part)?;
                }
            }
            self.sync(&folder)?;
        }
        Ok(())
    }

    /// Puts files into a folder that is ours alone.
    fn own_files(&self, folder: &str, files: BTreeMap<String, Temporary>) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let own = self.folder(self.root, layout::OWN)?;
        let folder = self.folder(&own, folder)?;
        for (name, temporary) in files {
            temporary.replace(&folder, Path::new(&name))?;
        }
        self.sync(&folder)
    }

    /// Puts one symlink in place, unless the very same is there.
    fn place(&self, text: &str, folder: &Dir, name: &str) -> Result<()> {
        let there = folder.read_link(name).optional()?;
        if there.is_some_and(|there| there.as_os_str() == text) {
            return Ok(());
        }
        self.staging.place_symlink(text, folder, name)
    }

    /// D3: both ends of the renames. The one that they went to first, so that they are never in neither.
    fn sync(&self, folder: &Dir) -> Result<()> {
        folder.sync()?;
        self.staging.dir.sync()
    }
}
