//! What was learned of an image's kernel when the image was made, so that no deployment reads all of it to learn it again.
//!
//! What lives here: the file that an import leaves in the repository for an image that boots, written and read: see
//! `docs/format.md`. What does not: measuring a kernel (the boot crate). Invariants: it counts for the very objects that it
//! names alone; what is damaged says nothing, and then the kernel is read. A wrong digest would be a wrong name on a boot
//! partition, and no more: what is copied there is held against the objects' ids.

use std::{panic::resume_unwind, thread::ScopedJoinHandle};

use sealstone_boot::{Blob, BootError, BootPair, Kernel, KernelSizes, find_ukis};
use sealstone_store::{ObjectId, Optional, Repository, Sha256, Transaction, layout, tree::Tree};

use crate::{DeployError, ImageId};

/// The most bytes of such a file.
const FILE_MAX: u64 = 4 << 10;

/// The first line.
const HEAD: &str = "kernel 1\n";

/// What is known of an image that boots by a kernel and an initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelNote {
    /// The image as it came, in which there is no unified kernel image.
    pub plain: ImageId,
    vmlinuz: ObjectId,
    initramfs: ObjectId,
    sizes: KernelSizes,
}

/// The kernel and initramfs of a tree by which it boots, if both are objects and there is no unified kernel image.
pub(crate) fn notable(tree: &Tree, repository: &Repository) -> Option<(Blob, Blob)> {
    let blobs = Kernel::find(tree).ok()??.blobs(tree, repository).ok()?;
    let are_objects = matches!(blobs, (Blob::Object(..), Blob::Object(..)));
    (are_objects && find_ukis(tree).is_empty()).then_some(blobs)
}

impl KernelNote {
    /// Leaves it beside an image that boots, once the transaction is committed. What could not be measured is not noted.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn leave(
        transaction: &Transaction,
        (image, plain): (&ImageId, &ImageId),
        measured: ScopedJoinHandle<'_, Result<BootPair, BootError>>,
    ) -> Result<(), DeployError> {
        // A panic goes on here.
        let Ok(pair) = measured.join().unwrap_or_else(|panic| resume_unwind(panic)) else { return Ok(()) };
        let (Some(vmlinuz), Some(initramfs)) = (object(pair.vmlinuz()), object(pair.initramfs())) else {
            return Ok(());
        };
        let note = Self { plain: *plain, vmlinuz, initramfs, sizes: *pair.sizes() };
        Ok(transaction.note_kernel(image.object(), note.to_text().as_bytes())?)
    }

    /// What was left beside an image.
    pub(crate) fn of(repository: &Repository, image: &ImageId) -> Option<Self> {
        let path = format!("{}/{}/{image}", layout::OWN, layout::KERNELS);
        let file = repository.dir().open_file(path).optional().ok()??;
        Self::parse(std::str::from_utf8(&file.read_all(FILE_MAX).ok()?).ok()?)
    }

    /// Whether the repository has the objects.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn is_there(&self, repository: &Repository) -> Result<bool, DeployError> {
        Ok(repository.has_object(&self.vmlinuz)? && repository.has_object(&self.initramfs)?)
    }

    /// The sizes and the digest, if it is of these two.
    pub(crate) fn sizes_of(&self, (vmlinuz, initramfs): (&Blob, &Blob)) -> Option<KernelSizes> {
        let is_of = |blob: &Blob, id, size| object(blob) == Some(id) && blob.size() == size;
        let is_ours = is_of(vmlinuz, self.vmlinuz, self.sizes.vmlinuz)
            && is_of(initramfs, self.initramfs, self.sizes.initramfs);
        is_ours.then_some(self.sizes)
    }

    fn to_text(self) -> String {
        let Self { plain, vmlinuz, initramfs, sizes } = self;
        let KernelSizes { digest, vmlinuz: kernel_size, initramfs: initramfs_size } = sizes;
        let text = format!(
            "{HEAD}plain {plain}\nvmlinuz {vmlinuz} {kernel_size}\ninitramfs {initramfs} {initramfs_size}\n\
             digest {digest}\n"
        );
        let sum = sum(&text);
        text + &sum
    }

    fn parse(text: &str) -> Option<Self> {
        let body = text.get(..text.trim_end_matches('\n').rfind('\n')? + 1)?;
        if text.strip_prefix(body)? != sum(body) {
            return None;
        }
        let mut lines = body.strip_prefix(HEAD)?.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let object = |text: &str| {
            let (id, size) = text.split_once(' ')?;
            Some((id.parse::<ObjectId>().ok()?, size.parse::<u64>().ok()?))
        };
        let plain = value("plain")?.parse().ok()?;
        let (vmlinuz, kernel_size) = object(value("vmlinuz")?)?;
        let (initramfs, initramfs_size) = object(value("initramfs")?)?;
        let digest = value("digest")?.parse().ok()?;
        let sizes = KernelSizes { digest, vmlinuz: kernel_size, initramfs: initramfs_size };
        Some(Self { plain, vmlinuz, initramfs, sizes })
    }
}

fn object(blob: &Blob) -> Option<ObjectId> {
    match blob {
        Blob::Object(_, id, _) => Some(*id),
        Blob::Bytes(_) => None,
    }
}

/// The last line: against accidents.
fn sum(text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    let digit = |text: String, byte: &u8| format!("{text}{byte:02x}");
    hasher.finish().iter().fold("sha256 ".to_owned(), digit) + "\n"
}

#[cfg(test)]
mod tests;
