//! The kernel of an image: found in its tree, with its initramfs.
//!
//! What lives here: where an image keeps kernels (`/usr/lib/modules/<version>/{vmlinuz,initramfs.img}`, one version). What
//! does not: the ESP, unified kernel images (`uki/find.rs`), kernel arguments.
//! Invariant: everything comes from the image's tree and the repository's objects, nothing from this machine.

use sealstone_store::{
    Repository,
    tree::{Content, FileType, InodeId, Tree},
};

use crate::{Blob, BootError, BootPair, KernelSizes};

pub(crate) const MODULES: &str = "/usr/lib/modules";

/// A kernel in an image's tree, with its initramfs.
#[derive(Clone, Debug)]
pub struct Kernel {
    version: String,
    vmlinuz: InodeId,
    initramfs: InodeId,
}

impl Kernel {
    /// The one kernel of an image, if it has any.
    ///
    /// # Errors
    /// [`BootError::Missing`] without an initramfs beside it, [`BootError::Ambiguous`] with more than one,
    /// [`BootError::Invalid`] when the version is no text.
    pub fn find(tree: &Tree) -> Result<Option<Self>, BootError> {
        let Ok(modules) = tree.resolve(MODULES.as_bytes()) else { return Ok(None) };
        let mut found = Vec::new();
        for (version, folder) in tree.entries(modules) {
            if let Some(vmlinuz) = regular(tree, folder, b"vmlinuz") {
                found.push((version, folder, vmlinuz));
            }
        }
        let (version, folder, vmlinuz) = match found.as_slice() {
            [] => return Ok(None),
            [one] => *one,
            more => {
                let found =
                    more.iter().map(|(version, ..)| String::from_utf8_lossy(version).into_owned()).collect();
                return Err(BootError::Ambiguous { what: "kernel in the image", found });
            }
        };
        let version = String::from_utf8(version.to_vec()).map_err(|error| {
            BootError::invalid(
                "kernel version",
                &String::from_utf8_lossy(error.as_bytes()),
                "it is not UTF-8",
            )
        })?;
        let initramfs = regular(tree, folder, b"initramfs.img").ok_or_else(|| BootError::Missing {
            what: format!("initramfs in the image ({MODULES}/{version}/initramfs.img)"),
        })?;
        Ok(Some(Self { version, vmlinuz, initramfs }))
    }

    /// The kernel's version: the name of its folder, as `uname -r` would print it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The kernel with its initramfs. Reads both.
    ///
    /// # Errors
    /// [`BootError::Store`] when an object cannot be read, or is not what its id says.
    pub fn pair(&self, tree: &Tree, repository: &Repository) -> Result<BootPair, BootError> {
        let (vmlinuz, initramfs) = self.blobs(tree, repository)?;
        BootPair::read(vmlinuz, initramfs)
    }

    /// The kernel with its initramfs as [`Kernel::pair`] gives them, when the sizes and the digest of these very
    /// objects are known. Reads nothing.
    ///
    /// # Errors
    /// [`BootError::Missing`] when the tree is another's.
    pub fn pair_again(
        &self,
        tree: &Tree,
        repository: &Repository,
        sizes: KernelSizes,
    ) -> Result<BootPair, BootError> {
        let (vmlinuz, initramfs) = self.blobs(tree, repository)?;
        Ok(BootPair::measured(vmlinuz, initramfs, sizes))
    }

    /// Where the bytes of the kernel and of its initramfs are. Reads nothing.
    ///
    /// # Errors
    /// [`BootError::Missing`] when the tree is another's.
    pub fn blobs(&self, tree: &Tree, repository: &Repository) -> Result<(Blob, Blob), BootError> {
        Ok((blob(tree, self.vmlinuz, repository)?, blob(tree, self.initramfs, repository)?))
    }
}

fn regular(tree: &Tree, folder: InodeId, name: &[u8]) -> Option<InodeId> {
    tree.lookup(folder, name).filter(|inode| tree.file_type(*inode) == FileType::Regular)
}

fn blob(tree: &Tree, inode: InodeId, repository: &Repository) -> Result<Blob, BootError> {
    match tree.content(inode) {
        Content::Inline(bytes) => Ok(Blob::Bytes(bytes.to_vec())),
        Content::External { object, size } => Ok(Blob::Object(repository.clone(), object, size)),
        // `find` takes regular files only.
        _ => Err(BootError::Missing { what: "regular file for the kernel".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn tree(files: &[&str]) -> Tree {
        testing::tree(files.iter().map(|path| (*path, Content::Inline(path.as_bytes()))))
    }

    #[test]
    fn the_one_kernel_is_found_with_its_initramfs() {
        let tree = tree(&[
            "usr/lib/modules/6.12.1/vmlinuz",
            "usr/lib/modules/6.12.1/initramfs.img",
            "usr/lib/modules/6.11.0/kernel/left.ko",
        ]);
        assert_eq!(Kernel::find(&tree).unwrap().unwrap().version(), "6.12.1");
    }

    #[test]
    fn none_two_and_one_without_initramfs_are_told_apart() {
        assert!(Kernel::find(&tree(&["etc/x"])).unwrap().is_none());
        assert!(Kernel::find(&tree(&["usr/lib/modules/6/kernel/x.ko"])).unwrap().is_none());
        let lone = Kernel::find(&tree(&["usr/lib/modules/6/vmlinuz"])).unwrap_err();
        assert!(matches!(lone, BootError::Missing { what } if what.contains("6/initramfs.img")));
        let two =
            Kernel::find(&tree(&["usr/lib/modules/6/vmlinuz", "usr/lib/modules/7/vmlinuz"])).unwrap_err();
        assert!(matches!(two, BootError::Ambiguous { found, .. } if found == ["6", "7"]));
    }
}
