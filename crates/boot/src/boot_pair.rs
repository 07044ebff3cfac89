//! A kernel with its initramfs, read once: where their bytes are, and the digest of the pair.
//!
//! What lives here: the one reading that a deployment needs. What does not: which files of an image they are (the kernel), and
//! where they go (the ESP).
//! Invariant: the digest is that of the bytes that were read. Whether they are those of their objects' ids is found out when
//! the copies on a boot partition are read back, before anything names them.

use sealstone_store::Sha256;

use crate::{Blob, BootDigest, BootError, KernelSizes};

/// From this size on, in bytes, what boots is worth being read and written side by side with something else.
pub const SIDE_BY_SIDE: u64 = 1 << 20;

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
    /// [`sealstone_store::Error::Corrupt`] when an object has another size than the image says, and the disk's errors.
    pub fn read(vmlinuz: Blob, initramfs: Blob) -> Result<Self, BootError> {
        let mut hasher = Sha256::new();
        for blob in [&vmlinuz, &initramfs] {
            blob.read_unchecked(|piece| hasher.update(piece))?;
        }
        let digest = BootDigest::of(hasher.finish());
        let sizes = KernelSizes { digest, vmlinuz: vmlinuz.size(), initramfs: initramfs.size() };
        Ok(Self { vmlinuz, initramfs, sizes })
    }

    /// The same pair again, whose digest this process knows: nothing is read.
    pub(crate) const fn measured(vmlinuz: Blob, initramfs: Blob, sizes: KernelSizes) -> Self {
        Self { vmlinuz, initramfs, sizes }
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

#[cfg(test)]
mod tests {
    use sealstone_store::{InitOptions, Repository, disk::RealDisk};

    use super::*;

    #[test]
    fn an_object_of_another_size_than_the_image_says_makes_no_pair() {
        let folder = tempfile::tempdir().unwrap();
        let repository =
            Repository::init(&RealDisk::shared(), folder.path().join("r"), &InitOptions::default())
                .unwrap()
                .0;
        let transaction = repository.transaction().unwrap();
        let id = transaction.put(&vec![7; 3 << 20]).unwrap().id;
        transaction.name_image(id);
        let _ = transaction.commit(()).unwrap();
        let pair = |size| {
            BootPair::read(Blob::Object(repository.clone(), id, size), Blob::Bytes(b"initramfs".to_vec()))
        };
        assert_eq!(pair(3 << 20).unwrap().sizes().vmlinuz, 3 << 20);
        let refused = pair(5).unwrap_err().to_string();
        assert!(refused.contains(&id.to_hex()), "{refused}");
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
