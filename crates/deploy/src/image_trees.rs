//! Trees and kernels of images that were read, so that what a plan has read is not read again when it is applied.
//!
//! Invariant: an image's id is the digest of its bytes, which are checked when it is read; so what is in here is never out of
//! date, and says nothing that the image does not.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use sealstone_boot::{BootPair, FoundUki, Kernel, KernelSizes, find_ukis};
use sealstone_import::{DiffId, layer_tree::LayerTree};
use sealstone_store::{Map, Repository, tree::Tree};

use crate::{
    DeployError, ImageId,
    etc::{FOLDERS, carve},
    image_tree::{boot_files, decode, image_bytes},
    kernel_note::KernelNote,
};

/// Image trees by their images. Clones share them; they take some 150 bytes for each file of an image, as long as one lives.
#[derive(Clone, Default)]
pub struct ImageTrees(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The bytes of images that were checked and may be read soon, mapped.
    bytes: BTreeMap<ImageId, Arc<Map>>,
    trees: BTreeMap<ImageId, Arc<Tree>>,
    /// Those that were read for `/etc` and `/var` alone.
    own_folders: BTreeMap<ImageId, Arc<Tree>>,
    /// Those that were read for what boots them alone.
    boot_files: BTreeMap<ImageId, Arc<Tree>>,
    /// Sizes and digests of kernels with their initramfs, by the images that have them. No handle of a repository is kept in
    /// here, since that would hold its lock for as long as a plan lives.
    kernels: BTreeMap<ImageId, KernelSizes>,
    /// What was noted of kernels, or that nothing was.
    notes: BTreeMap<ImageId, Option<KernelNote>>,
    /// Layers that were measured and not stored.
    layers: BTreeMap<DiffId, Arc<LayerTree>>,
}

impl ImageTrees {
    /// The tree of an image, read if it was not before.
    ///
    /// # Errors
    /// As [`image_bytes`] and [`decode`].
    pub(crate) fn tree(&self, repository: &Repository, image: &ImageId) -> Result<Arc<Tree>, DeployError> {
        if let Some(tree) = self.known().trees.get(image) {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(decode(&self.bytes(repository, image)?, image, None)?);
        self.known().trees.insert(*image, Arc::clone(&tree));
        Ok(tree)
    }

    /// What an image has of `/etc` and `/var`; no more is read of it.
    ///
    /// # Errors
    /// As [`image_bytes`] and [`decode`].
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
            None => decode(&self.bytes(repository, image)?, image, Some(&FOLDERS))?,
        });
        self.known().own_folders.insert(*image, Arc::clone(&folders));
        Ok(folders)
    }

    /// What an image has of the folders where kernels and unified kernel images are, or more; no more is read of it.
    ///
    /// # Errors
    /// As [`image_bytes`] and [`decode`].
    pub(crate) fn boot_files(
        &self,
        repository: &Repository,
        image: &ImageId,
    ) -> Result<Arc<Tree>, DeployError> {
        let known = self.known();
        if let Some(files) = known.trees.get(image).or_else(|| known.boot_files.get(image)) {
            return Ok(Arc::clone(files));
        }
        drop(known);
        self.boot_files_of(&self.bytes(repository, image)?, image)
    }

    fn boot_files_of(&self, bytes: &[u8], image: &ImageId) -> Result<Arc<Tree>, DeployError> {
        let files = Arc::new(boot_files(bytes, image)?);
        self.known().boot_files.insert(*image, Arc::clone(&files));
        Ok(files)
    }

    /// The unified kernel images of an image as it came (`plain`), which boots as `image`.
    ///
    /// # Errors
    /// As [`image_bytes`] and [`decode`].
    pub(crate) fn ukis(
        &self,
        repository: &Repository,
        (image, plain): (&ImageId, &ImageId),
    ) -> Result<Vec<FoundUki>, DeployError> {
        if self.note(repository, image).is_some_and(|note| note.plain == *plain) {
            return Ok(Vec::new());
        }
        Ok(find_ukis(&*self.boot_files(repository, plain)?))
    }

    /// The kernel of an image with its initramfs, read and measured unless that was done before, here or when the image was
    /// made; `None` when it has none.
    ///
    /// # Errors
    /// As [`image_bytes`], [`decode`], [`Kernel::find`] and [`Kernel::pair`].
    pub(crate) fn boot_pair(
        &self,
        repository: &Repository,
        image: &ImageId,
    ) -> Result<Option<BootPair>, DeployError> {
        let tree = self.boot_files(repository, image)?;
        let Some(kernel) = Kernel::find(&tree)? else { return Ok(None) };
        let mut known = self.known().kernels.get(image).copied();
        if known.is_none()
            && let Some(note) = self.note(repository, image)
        {
            let (vmlinuz, initramfs) = kernel.blobs(&tree, repository)?;
            // What is lost is told by reading it.
            known = if note.is_there(repository)? { note.sizes_of((&vmlinuz, &initramfs)) } else { None };
        }
        if let Some(sizes) = known {
            return Ok(Some(kernel.pair_again(&tree, repository, sizes)?));
        }
        let pair = kernel.pair(&tree, repository)?;
        self.known().kernels.insert(*image, *pair.sizes());
        Ok(Some(pair))
    }

    /// What was noted of an image's kernel.
    fn note(&self, repository: &Repository, image: &ImageId) -> Option<KernelNote> {
        if let Some(note) = self.known().notes.get(image) {
            return *note;
        }
        let note = KernelNote::of(repository, image);
        self.known().notes.insert(*image, note);
        note
    }

    /// Reads side by side what a deployment of an image needs: its tree and its kernel, what `also` (the image as it came) has
    /// to boot it, and what is in the `/etc` of the image `from` before it. What fails fails again, and is told, when it is
    /// asked for.
    pub(crate) fn read_ahead(
        &self,
        repository: &Repository,
        image: &ImageId,
        (also, from): (Option<&ImageId>, Option<&ImageId>),
    ) {
        let from = || from.map(|from| self.own_folders(repository, from));
        if self.note(repository, image).is_none() {
            return self.read_kernel_ahead(repository, image, (also, from));
        }
        let _ = thread::scope(|scope| {
            scope.spawn(from);
            self.tree(repository, image)
        });
    }

    /// The same where nothing is noted of the kernel. Two threads, since more would keep the kernel's one from its processor: its
    /// digest is what takes longest, and of it nothing can be done side by side. So all else is done by the other one.
    fn read_kernel_ahead<T>(
        &self,
        repository: &Repository,
        image: &ImageId,
        (also, from): (Option<&ImageId>, impl FnOnce() -> T),
    ) {
        let is_known = self.known().trees.contains_key(image);
        let bytes = thread::scope(|scope| {
            scope.spawn(|| also.map(|also| self.boot_files(repository, also)));
            if is_known { None } else { self.bytes(repository, image).ok() }
        });
        thread::scope(|scope| {
            if let Some(bytes) = bytes.as_ref() {
                scope.spawn(|| {
                    let files = self.boot_files_of(bytes, image);
                    files.and_then(|_| self.boot_pair(repository, image))
                });
                if let Ok(tree) = decode(bytes, image, None) {
                    self.known().trees.insert(*image, Arc::new(tree));
                }
            }
            from();
        });
    }

    /// Remembers a layer that is not stored.
    pub(crate) fn know_layer(&self, diff_id: DiffId, layer: LayerTree) {
        self.known().layers.insert(diff_id, Arc::new(layer));
    }

    /// A layer that is not stored.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Option<Arc<LayerTree>> {
        self.known().layers.get(diff_id).cloned()
    }

    /// Remembers the bytes of an image, which were checked.
    pub(crate) fn know_bytes(&self, image: ImageId, bytes: Map) {
        self.known().bytes.insert(image, Arc::new(bytes));
    }

    fn bytes(&self, repository: &Repository, image: &ImageId) -> Result<Arc<Map>, DeployError> {
        if let Some(bytes) = self.known().bytes.get(image) {
            return Ok(Arc::clone(bytes));
        }
        Ok(Arc::new(image_bytes(repository, image)?))
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
