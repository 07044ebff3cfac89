//! What an image store holds: images and layers, found in their documents alone.

use std::collections::BTreeMap;

use sealstone_import::{
    DiffId, Digest, DigestAlgorithm, ImportOptions, import_layers, source::StoredImage, streams::layer_stream,
};
use sealstone_store::{
    Control, ObjectId, Repository, disk::Dir, splitstream::SplitStreamReader, tree::Content,
};
use serde::{Deserialize, Serialize};

use super::layer_diff::layer_diff;
use crate::{
    DeployError,
    bound::{BoundImage, BoundToCome},
    merge,
    populate::measure,
};

/// An image of the store.
pub(super) struct StoreImage {
    /// podman's id: the digits of the configuration's digest.
    pub(super) id: String,
    /// What it is called.
    pub(super) names: Vec<String>,
    pub(super) manifest: (Digest, Vec<u8>),
    pub(super) config: (Digest, Vec<u8>),
    pub(super) created: Option<String>,
    /// The ids of its layers, lowest first.
    pub(super) layers: Vec<String>,
}

/// A layer of the store.
pub(super) struct StoreLayer {
    pub(super) diff_id: DiffId,
    pub(super) tar_bytes: u64,
    /// The ids of the layers below, the lowest first.
    pub(super) below: Vec<String>,
    /// An image that has it, and its place in that.
    pub(super) image: BoundImage,
    pub(super) place: usize,
}

/// All of it.
#[derive(Default)]
pub(super) struct Description {
    pub(super) images: Vec<StoreImage>,
    /// By id.
    pub(super) layers: BTreeMap<String, StoreLayer>,
}

impl Description {
    /// Reads the images' documents in the repository.
    pub(super) fn read(repository: &Repository, bound: &[BoundImage]) -> Result<Self, DeployError> {
        let mut all = Self::default();
        for image in bound {
            let name = image.reference.parse::<crate::bound::BoundReference>();
            let name = name.map_or_else(|_| image.reference.clone(), |name| name.storage_name());
            let id = image.config.digest().to_hex();
            // Two manifests of one configuration are one image to podman.
            if let Some(known) = all.images.iter_mut().find(|known| known.id == id) {
                if !known.names.contains(&name) {
                    known.names.push(name);
                }
                continue;
            }
            let documents = image.documents(repository)?;
            let mut layers: Vec<String> = Vec::new();
            for (place, diff_id) in documents.config.diff_ids.iter().enumerate() {
                let id = layer_id(layers.last(), diff_id);
                if !all.layers.contains_key(&id) {
                    let map = repository.map_stream(&layer_stream(diff_id)?)?;
                    let tar_bytes = SplitStreamReader::new(&map, repository.algorithm())?.stream_size();
                    let (below, image) = (layers.clone(), image.clone());
                    let layer = StoreLayer { diff_id: *diff_id, tar_bytes, below, image, place };
                    all.layers.insert(id.clone(), layer);
                }
                layers.push(id);
            }
            all.images.push(StoreImage {
                id,
                names: vec![name],
                manifest: (*documents.manifest_digest.digest(), documents.manifest_bytes),
                config: (*documents.config_digest.digest(), documents.config_bytes),
                created: documents.config.created,
                layers,
            });
        }
        Ok(all)
    }
}

/// The id of a layer on others: that of its tar, hashed with the one below.
fn layer_id(below: Option<&String>, diff_id: &DiffId) -> String {
    let own = diff_id.digest().to_hex();
    match below {
        None => own,
        Some(below) => Digest::of(DigestAlgorithm::Sha256, format!("{below}+{own}").as_bytes()).to_hex(),
    }
}

/// How the files of an image store come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// They share their blocks with the repository's objects.
    Reflink,
    /// They are copies: the file system shares no blocks.
    Copy,
}

/// What making an image store takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorePlan {
    /// How its files come about.
    pub how: Sharing,
    /// Images in it.
    pub images: u64,
    /// Layers in it; images share them.
    pub layers: u64,
    /// Files of all kinds, each an inode.
    pub files: u64,
    /// Bytes of their content that are objects of the repository: what can be shared.
    pub content_bytes: u64,
    /// Bytes that are written to the file system, whole blocks counted: without those that are shared.
    pub bytes: u64,
    /// Bytes of the bound images' files that the repository will get before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub object_bytes: u64,
    /// Whether images are still to be fetched: of those only what their manifests say is counted, which tells no files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_estimate: bool,
    /// Of `bytes` and `object_bytes` together, how many are a guess at what packed layers hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guessed_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(crate) const fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl StorePlan {
    /// Counts images that are not here yet.
    pub(crate) fn expect(&mut self, to_come: &[BoundToCome], how: Sharing) {
        self.is_estimate = true;
        self.how = how;
        for image in to_come {
            self.images += 1;
            self.layers += image.layers;
            self.content_bytes = self.content_bytes.saturating_add(image.content.bytes);
            let mut all = image.objects;
            self.object_bytes = self.object_bytes.saturating_add(image.objects.bytes);
            if how == Sharing::Copy {
                self.bytes = self.bytes.saturating_add(image.content.bytes);
                all.add(image.content);
            }
            self.guessed_bytes = self.guessed_bytes.saturating_add(all.guessed);
        }
    }
}

/// What making the image store of these images would take, on the file system of `dir`.
///
/// # Errors
/// [`sealstone_import::ImportError::Missing`] when the repository lacks one of them, and its damage.
pub fn plan_image_store(
    repository: &Repository,
    bound: &[BoundImage],
    dir: &Dir,
    control: &Control,
) -> Result<StorePlan, DeployError> {
    let all = Description::read(repository, bound)?;
    let block = dir.space()?.block;
    let mut plan = StorePlan {
        how: Sharing::Copy,
        images: all.images.len() as u64,
        layers: all.layers.len() as u64,
        files: 0,
        content_bytes: 0,
        bytes: 0,
        object_bytes: 0,
        is_estimate: false,
        guessed_bytes: 0,
    };
    let mut sample: Option<ObjectId> = None;
    each_layer(repository, &all, control, |_, tree| {
        let mut walk = tree.walk();
        while let Some((_, inode)) = walk.next_entry() {
            if let Content::External { object, size } = tree.content(inode) {
                sample.get_or_insert(object);
                plan.content_bytes += size;
            }
        }
        let (files, bytes) = measure(tree, tree.root(), block);
        plan.files += files;
        plan.bytes += bytes;
        Ok(())
    })?;
    if sample.is_some_and(|object| repository.can_share_with(dir, &object)) {
        plan.how = Sharing::Reflink;
        plan.bytes = plan.bytes.saturating_sub(plan.content_bytes);
    }
    Ok(plan)
}

/// Passes on each layer with the tree of what it changes.
pub(super) fn each_layer(
    repository: &Repository,
    all: &Description,
    control: &Control,
    mut take: impl FnMut(&str, &sealstone_store::tree::Tree) -> Result<(), DeployError>,
) -> Result<(), DeployError> {
    // Progress of its own: nothing is imported here, only looked up.
    let quiet = Control::new().with_threads(control.threads());
    for image in &all.images {
        let mine = |layer: &StoreLayer| layer.image.config.digest().to_hex() == image.id;
        if !all.layers.values().any(mine) {
            continue;
        }
        let stored =
            StoredImage::new(repository.clone(), sealstone_import::ManifestDigest::new(image.manifest.0));
        // Records of layers are a cache: what is missing is made anew of the repository's own tars.
        let transaction = repository.transaction()?;
        let imported = import_layers(&transaction, &stored, &ImportOptions::default(), &quiet)?;
        let trees = imported.layers()?;
        for (id, layer) in all.layers.iter().filter(|(_, layer)| mine(layer)) {
            control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
            let Some((top, _)) = trees.get(..=layer.place).and_then(<[_]>::split_last) else { continue };
            let merged = merge(trees.get(..=layer.place).unwrap_or_default())?;
            take(id, &layer_diff(top, &merged, layer.place > 0)?)?;
        }
    }
    Ok(())
}
