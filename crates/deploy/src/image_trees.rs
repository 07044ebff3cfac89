//! Trees of images that were read, so that what a plan has read is not read again when it is applied.
//!
//! Invariant: an image's id is the digest of its bytes, which are checked when it is read; so what is in here is never out of
//! date, and says nothing that the image does not.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use sealstone_store::{Repository, tree::Tree};

use crate::{DeployError, ImageId, image_tree::image_tree};

/// Image trees by their images. Clones share them; they take some 150 bytes for each file of an image, as long as one lives.
#[derive(Clone, Default)]
pub struct ImageTrees(Arc<Mutex<BTreeMap<ImageId, Arc<Tree>>>>);

impl ImageTrees {
    /// The tree of an image, read if it was not before.
    ///
    /// # Errors
    /// As [`image_tree`].
    pub(crate) fn tree(&self, repository: &Repository, image: &ImageId) -> Result<Arc<Tree>, DeployError> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = known().get(image) {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(image_tree(repository, image)?);
        known().insert(*image, Arc::clone(&tree));
        Ok(tree)
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
