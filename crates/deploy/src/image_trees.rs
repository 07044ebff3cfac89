//! Trees and kernels of images that were read, so that what a plan has read is not read again when it is applied.
//!
//! Invariant: an image's id is the digest of its bytes, which are checked when it is read; so what is in here is never out of
//! date, and says nothing that the image does not.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sealstone_boot::{BootPair, Kernel};
use sealstone_import::{DiffId, layer_tree::LayerTree};
use sealstone_store::{Repository, tree::Tree};

use crate::{
    DeployError, ImageId,
    etc::carve,
    image_tree::{image_tree, own_folders},
};

/// Image trees by their images. Clones share them; they take some 150 bytes for each file of an image, as long as one lives.
#[derive(Clone, Default)]
pub struct ImageTrees(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    trees: BTreeMap<ImageId, Arc<Tree>>,
    /// Those that were read for `/etc` and `/var` alone.
    own_folders: BTreeMap<ImageId, Arc<Tree>>,
    /// Kernels with their initramfs, by the images that have them.
    pairs: BTreeMap<ImageId, BootPair>,
    /// Layers that were measured and not stored.
    layers: BTreeMap<DiffId, Arc<LayerTree>>,
}

impl ImageTrees {
    /// The tree of an image, read if it was not before.
    ///
    /// # Errors
    /// As [`image_tree`].
    pub(crate) fn tree(&self, repository: &Repository, image: &ImageId) -> Result<Arc<Tree>, DeployError> {
        if let Some(tree) = self.known().trees.get(image) {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(image_tree(repository, image)?);
        self.known().trees.insert(*image, Arc::clone(&tree));
        Ok(tree)
    }

    /// What an image has of `/etc` and `/var`; no more is read of it.
    ///
    /// # Errors
    /// As [`image_tree`].
    pub(crate) fn own_folders(
        &self,
        repository: &Repository,
        image: &ImageId,
    ) -> Result<Arc<Tree>, DeployError> {
        let known = self.known();
        if let Some(folders) = known.own_folders.get(image) {
            return Ok(Arc::clone(folders));
        }
        let whole = known.trees.get(image).cloned();
        drop(known);
        let folders = Arc::new(match whole {
            Some(whole) => carve(&whole)?,
            None => own_folders(repository, image)?,
        });
        self.known().own_folders.insert(*image, Arc::clone(&folders));
        Ok(folders)
    }

    /// The kernel of an image with its initramfs, read and measured if they were not before; `None` when it has none.
    ///
    /// # Errors
    /// As [`image_tree`], [`Kernel::find`] and [`Kernel::pair`].
    pub(crate) fn boot_pair(
        &self,
        repository: &Repository,
        image: &ImageId,
    ) -> Result<Option<BootPair>, DeployError> {
        if let Some(pair) = self.known().pairs.get(image) {
            // What is asked for through this handle is read through it.
            return Ok(Some(pair.through(repository)));
        }
        let tree = self.tree(repository, image)?;
        let Some(kernel) = Kernel::find(&tree)? else { return Ok(None) };
        let pair = kernel.pair(&tree, repository)?;
        self.known().pairs.insert(*image, pair.clone());
        Ok(Some(pair))
    }

    /// Remembers a layer that is not stored.
    pub(crate) fn know_layer(&self, diff_id: DiffId, layer: LayerTree) {
        self.known().layers.insert(diff_id, Arc::new(layer));
    }

    /// A layer that is not stored.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Option<Arc<LayerTree>> {
        self.known().layers.get(diff_id).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ImageTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImageTrees")
    }
}

/// What was read says nothing about what holds it.
impl PartialEq for ImageTrees {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ImageTrees {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Machine, System, listing};

    #[test]
    fn the_own_folders_of_an_image_are_what_its_whole_tree_has_of_them() {
        let machine = Machine::new();
        let image = machine.import(&System::new("1")).image;
        let repository = machine.target().repository;
        let (trees, whole_first) = (ImageTrees::default(), ImageTrees::default());
        let alone = trees.own_folders(&repository, &image).unwrap();
        let whole = whole_first.tree(&repository, &image).unwrap();
        let carved = whole_first.own_folders(&repository, &image).unwrap();
        assert_eq!(listing(&alone), listing(&carved));
        assert!(alone.lookup(alone.root(), b"etc").is_some());
        assert!(alone.lookup(alone.root(), b"usr").is_none() && whole.lookup(whole.root(), b"usr").is_some());
    }
}
