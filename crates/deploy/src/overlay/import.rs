//! Bringing an overlay into the store, as a layer: checked, deduplicated and verified as any other.

use std::{path::PathBuf, sync::Arc};

use sealstone_import::{
    DiffId, ImportOptions, import_layers,
    layer_tree::{EntryKind, LayerEntry, LayerTree},
    measure_layers,
    source::{LayerTar, Opening, Reference, Source},
    streams::layer_stream,
};
use sealstone_store::{
    Control, Optional, Repository,
    disk::{Dir, Disk},
};

use super::{
    Overlay, OverlayFile, OverlayName,
    pack::{pack_files, pack_folder},
};
use crate::{DeployError, ImageId, ImageTrees, image_tree::image_tree};

/// Where an overlay comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlaySource {
    /// A folder that is laid on the root: it has nothing but `etc` and `var`.
    Folder(PathBuf),
    /// A folder that is laid on `/etc`.
    Etc(PathBuf),
    /// The tar of a layer, perhaps compressed; it has nothing but `etc` and `var`.
    Tar(PathBuf),
    /// Files.
    Files(Vec<OverlayFile>),
    /// The keys that may log in as root, one a line, where this image has the home of root.
    RootKeys {
        /// The image.
        image: ImageId,
        /// The keys.
        keys: String,
    },
}

/// An overlay in the store. Nothing keeps it there before a deployment has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedOverlay {
    /// The overlay.
    pub overlay: Overlay,
    /// Sockets, fifos and devices of the folder, which were left out.
    pub skipped: Vec<String>,
}

/// Imports an overlay. What it was made from is not looked at again: an update carries the layer over.
///
/// # Errors
/// [`DeployError::Overlay`] when it has something outside `/etc` and `/var`, and what reading and importing bring;
/// nothing is stored under a name then.
pub fn import_overlay(
    repository: &Repository,
    disk: &Arc<dyn Disk>,
    name: OverlayName,
    source: &OverlaySource,
    control: &Control,
) -> Result<ImportedOverlay, DeployError> {
    let options = ImportOptions::default();
    let (layer, skipped) = open(repository, disk, (&name, source), &options, control)?;
    let transaction = repository.transaction()?;
    let imported = import_layers(&transaction, &*layer, &options, control)?;
    for layer in imported.layers()? {
        check(&name, layer)?;
    }
    let diff_id = only_layer(&name, &imported.config().diff_ids)?;
    imported.publish_layers(&transaction)?;
    Ok(transaction.commit(ImportedOverlay { overlay: Overlay { name, diff_id }, skipped })?.into_inner())
}

/// Computes what [`import_overlay`] would bring, and stores nothing: a plan that is made with these trees knows the layer,
/// and nobody could carry it out.
///
/// # Errors
/// As [`import_overlay`].
pub fn measure_overlay(
    repository: &Repository,
    disk: &Arc<dyn Disk>,
    name: OverlayName,
    source: &OverlaySource,
    (trees, control): (&ImageTrees, &Control),
) -> Result<ImportedOverlay, DeployError> {
    let options = ImportOptions::default();
    let (layer, skipped) = open(repository, disk, (&name, source), &options, control)?;
    let measured = measure_layers(&*layer, repository.algorithm(), &|_| false, &options, control)?;
    for layer in measured.layers() {
        check(&name, layer)?;
    }
    let diff_id = only_layer(&name, &measured.diff_ids)?;
    for layer in measured.layers() {
        trees.know_layer(diff_id, layer.clone());
    }
    Ok(ImportedOverlay { overlay: Overlay { name, diff_id }, skipped })
}

fn only_layer(name: &OverlayName, diff_ids: &[DiffId]) -> Result<DiffId, DeployError> {
    diff_ids.first().copied().ok_or_else(|| {
        let reason = "it is no layer".to_owned();
        DeployError::Overlay { name: name.to_string(), path: "/".into(), reason }
    })
}

/// An overlay as the source of a layer, and what of it is left out. What is packed is in a file without a name.
fn open(
    repository: &Repository,
    disk: &Arc<dyn Disk>,
    (name, source): (&OverlayName, &OverlaySource),
    options: &ImportOptions,
    control: &Control,
) -> Result<(Box<dyn Source>, Vec<String>), DeployError> {
    let mut skipped = Vec::new();
    let layer: Box<dyn Source> = match source {
        OverlaySource::Tar(path) => {
            let reference = Reference::Tar { path: path.clone() };
            let opening = Opening::new(disk, &options.limits).scratch(repository).control(control);
            opening.open(&reference)?
        }
        made => {
            let scratch = repository.scratch()?;
            match made {
                OverlaySource::Folder(path) => {
                    skipped = pack_folder(&Dir::open(disk, path)?, b"", scratch.file(), control)?;
                }
                OverlaySource::Etc(path) => {
                    skipped = pack_folder(&Dir::open(disk, path)?, b"etc", scratch.file(), control)?;
                }
                OverlaySource::Files(files) => pack_files(files, disk, scratch.file())?,
                OverlaySource::RootKeys { image, keys } => {
                    let file = OverlayFile::root_keys(&image_tree(repository, image)?, keys)?;
                    pack_files(&[file], disk, scratch.file())?;
                }
                OverlaySource::Tar(_) => {}
            }
            Box::new(LayerTar::of_scratch(scratch, format!("overlay {name}"), &options.platform)?)
        }
    };
    Ok((layer, skipped))
}

/// The layer of an overlay whose record is lost or damaged: made again of the tar in the store, with its record, which is a
/// cache.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when the store does not have the tar either.
pub(super) fn rebuild(repository: &Repository, overlay: &Overlay) -> Result<LayerTree, DeployError> {
    let what = format!("layer {} of the overlay {}", overlay.diff_id, overlay.name);
    let Some(stream) = repository.stream(&layer_stream(&overlay.diff_id)?).optional()? else {
        return Err(sealstone_store::Error::Missing { what }.into());
    };
    let scratch = repository.scratch()?;
    let mut at = 0;
    repository.cat_stream(&stream, |piece| {
        scratch.file().write_all_at(at, piece)?;
        at += piece.len() as u64;
        Ok(())
    })?;
    let options = ImportOptions::default();
    let tar = LayerTar::of_scratch(scratch, what.clone(), &options.platform)?;
    let transaction = repository.transaction()?;
    let imported = import_layers(&transaction, &tar, &options, &Control::new())?;
    if imported.config().diff_ids != [overlay.diff_id] {
        return Err(sealstone_store::Error::corrupt(what, "the store has another tar under its name").into());
    }
    let layer = imported.layers()?.first().map(|layer| (*layer).clone());
    imported.publish_layers(&transaction)?;
    let _ = transaction.commit(())?;
    Ok(layer.ok_or(sealstone_store::Error::Missing { what })?)
}

/// Refuses what has anything outside `/etc` and `/var`, or would remove either as a whole.
fn check(name: &OverlayName, layer: &LayerTree) -> Result<(), DeployError> {
    let refuse = |path: &[u8], reason: &str| {
        let path = format!("/{}", path.escape_ascii());
        Err(DeployError::Overlay { name: name.to_string(), path, reason: reason.to_owned() })
    };
    let root = layer.root();
    if root.is_opaque() {
        return refuse(b"", "it would remove all of the image");
    }
    for top in root.children() {
        let is_folder = matches!(top.kind(), EntryKind::Directory | EntryKind::Passage);
        if !matches!(top.name(), b"etc" | b"var") {
            return refuse(top.name(), "an overlay has nothing outside /etc and /var");
        }
        if !is_folder || top.is_opaque() {
            return refuse(top.name(), "an overlay neither replaces nor removes it as a whole");
        }
    }
    let mut to_visit: Vec<LayerEntry<'_>> = vec![root];
    while let Some(entry) = to_visit.pop() {
        if let EntryKind::Link(target) = entry.kind()
            && !(target.starts_with(b"etc/") || target.starts_with(b"var/"))
        {
            return refuse(target, "a hardlink leads outside /etc and /var");
        }
        to_visit.extend(entry.children());
    }
    Ok(())
}
