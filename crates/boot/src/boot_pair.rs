//! A kernel with its initramfs, read once: where their bytes are, and the digest of the pair.
//!
//! What lives here: the one reading that a deployment needs. What does not: which files of an image they are (the kernel), and
//! where they go (the ESP).
//! Invariant: the digest is that of these bytes, which were checked against their objects' ids by this process when it was
//! computed; so who writes them need not hash them again.

use std::thread;

use sealstone_store::{Error, Repository, Result, Sha256};

use crate::{Blob, BootDigest, BootError, KernelSizes};

/// From this size on, a pair is hashed and checked side by side, in bytes.
const SIDE_BY_SIDE: u64 = 1 << 20;

/// A kernel and its initramfs whose digest is known.
#[derive(Clone, Debug)]
pub struct BootPair {
    vmlinuz: Blob,
    initramfs: Blob,
    sizes: KernelSizes,
}

impl BootPair {
    /// Reads both.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Corrupt`] when an object is not what its id and the image say, and the disk's errors.
    pub fn read(vmlinuz: Blob, initramfs: Blob) -> Result<Self, BootError> {
        let both = [&vmlinuz, &initramfs];
        let size: u64 = both.iter().map(|blob| blob.size()).sum();
        let digest = if size < SIDE_BY_SIDE {
            check(both)?;
            hash(both)?
        } else {
            // Two hashes of the same bytes, of which neither needs the other.
            thread::scope(|scope| {
                let checked = scope.spawn(|| check(both));
                let hashed = hash(both);
                let died = |_| Error::corrupt("the check of kernel and initramfs", "its thread died");
                checked.join().map_err(died)??;
                hashed
            })?
        };
        let sizes = KernelSizes { digest, vmlinuz: vmlinuz.size(), initramfs: initramfs.size() };
        Ok(Self { vmlinuz, initramfs, sizes })
    }

    /// The same pair, its bytes to be had through another handle of the repository that they were checked in.
    #[must_use]
    pub fn through(&self, repository: &Repository) -> Self {
        let through = |blob: &Blob| match blob {
            Blob::Object(_, id, size) => Blob::Object(repository.clone(), *id, *size),
            Blob::Bytes(bytes) => Blob::Bytes(bytes.clone()),
        };
        Self { vmlinuz: through(&self.vmlinuz), initramfs: through(&self.initramfs), sizes: self.sizes }
    }

    /// The kernel.
    #[must_use]
    pub const fn vmlinuz(&self) -> &Blob {
        &self.vmlinuz
    }

    /// The initramfs.
    #[must_use]
    pub const fn initramfs(&self) -> &Blob {
        &self.initramfs
    }

    /// The digest of the pair, and the sizes.
    #[must_use]
    pub const fn sizes(&self) -> &KernelSizes {
        &self.sizes
    }
}

fn check(blobs: [&Blob; 2]) -> Result<()> {
    blobs.into_iter().try_for_each(Blob::check)
}

fn hash(blobs: [&Blob; 2]) -> Result<BootDigest> {
    let mut hasher = Sha256::new();
    for blob in blobs {
        blob.read_unchecked(|piece| hasher.update(piece))?;
    }
    Ok(BootDigest::of(hasher.finish()))
}

#[cfg(test)]
mod tests {
    use sealstone_store::{InitOptions, disk::RealDisk};

    use super::*;

    #[test]
    fn what_is_damaged_in_the_store_makes_no_pair() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("r");
        let repository = Repository::init(&RealDisk::shared(), &place, &InitOptions::default()).unwrap().0;
        let transaction = repository.transaction().unwrap();
        let mut body = vec![7; 3 << 20];
        let id = transaction.put(&body).unwrap().id;
        transaction.name_image(id);
        let _ = transaction.commit(()).unwrap();
        let pair = |size| {
            BootPair::read(Blob::Object(repository.clone(), id, size), Blob::Bytes(b"initramfs".to_vec()))
        };
        assert_eq!(pair(3 << 20).unwrap().sizes().vmlinuz, 3 << 20);
        assert!(pair(5).is_err(), "the image says another size");
        let hex = id.to_hex();
        body[1 << 20] = 8;
        std::fs::write(place.join("objects").join(&hex[..2]).join(&hex[2..]), &body).unwrap();
        let refused = pair(3 << 20).unwrap_err().to_string();
        assert!(refused.contains(&hex), "{refused}");
    }

    #[test]
    fn the_digest_is_that_of_the_kernel_and_then_the_initramfs() {
        let pair = |a: &[u8], b: &[u8]| BootPair::read(Blob::Bytes(a.into()), Blob::Bytes(b.into())).unwrap();
        let mut expected = Sha256::new();
        expected.update(b"kernelinitramfs");
        let expected = BootDigest::of(expected.finish()).to_string();
        assert_eq!(pair(b"kernel", b"initramfs").sizes().digest.to_string(), expected);
        assert_ne!(pair(b"initramfs", b"kernel").sizes().digest.to_string(), expected);
        let (large, small) = (vec![3; 2 << 20], vec![5; 10]);
        let sizes = *pair(&large, &small).sizes();
        assert_eq!((sizes.vmlinuz, sizes.initramfs), (2 << 20, 10));
        assert_eq!(sizes.digest, pair(&[large, small].concat(), b"").sizes().digest);
    }
}
