//! What bootc puts on a boot partition for its deployments: folders of kernels, and unified kernel images.
//!
//! What lives here: finding and removing them by bootc's names. What does not: which of them are needed.
//! Source: bootc's composefs backend names a folder below `EFI/Linux/` and an image below `EFI/Linux/bootc/` by the
//! deployment's image id; what it stages has its entries in `loader/entries.staged`.

use sealstone_store::{ObjectId, Optional, disk::FileType};

use super::{ENTRIES, Esp, KERNEL_PREFIX, KERNELS, remove::remove_all};
use crate::{BootDigest, BootError};

/// Where bootc puts unified kernel images.
pub(super) const UKIS: &str = "EFI/Linux/bootc";

impl Esp {
    /// What bootc put there, by paths as entries name them; nothing while bootc has something staged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn bootc_files(&self) -> Result<Vec<String>, BootError> {
        if self.root.metadata(format!("{ENTRIES}.staged")).optional()?.is_some() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (place, kind) in [(KERNELS, FileType::Directory), (UKIS, FileType::File)] {
            let Some(folder) = self.root.open_dir(place).optional()? else { continue };
            for entry in folder.read_dir()? {
                let path = entry.name.to_str().map(|name| format!("/{place}/{name}"));
                found.extend(
                    path.filter(|path| entry.kind == kind && Self::image_of_bootc_file(path).is_some()),
                );
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The image's id in the name of a folder or file of bootc's; in that of another unified kernel image of ours for the same
    /// image, the deployment's. A folder that is named by a kernel's digest is ours.
    #[must_use]
    pub fn image_of_bootc_file(path: &str) -> Option<&str> {
        let (folder, name) = path.strip_prefix('/')?.rsplit_once('/')?;
        let name = name.strip_prefix(KERNEL_PREFIX)?;
        let hex = match folder {
            KERNELS if name.parse::<BootDigest>().is_err() => name,
            UKIS => name.strip_suffix(".efi")?,
            _ => return None,
        };
        let id = match hex.split_once('.') {
            Some((id, copy)) if folder == UKIS && copy.parse::<u32>().is_ok() => id,
            _ => hex,
        };
        id.parse::<ObjectId>().is_ok().then_some(hex)
    }

    /// Removes a folder or a file of bootc's, and what is beside a unified kernel image for it. No entry may name it.
    ///
    /// # Errors
    /// [`BootError::Invalid`] for anything else, and the disk's errors.
    pub fn remove_bootc_files(&self, path: &str) -> Result<(), BootError> {
        let parts = path.trim_start_matches('/').rsplit_once('/');
        let (Some((folder, name)), Some(_)) = (parts, Self::image_of_bootc_file(path)) else {
            return Err(BootError::invalid(
                "path of bootc's on a boot partition",
                path,
                "it has none of its names",
            ));
        };
        let Some(folder) = self.root.open_dir(folder).optional()? else { return Ok(()) };
        // D9 (3): what is gone is gone for good.
        remove_all(&folder, name)?;
        remove_all(&folder, &format!("{name}.extra.d"))
    }
}

#[cfg(test)]
mod tests {
    use sealstone_store::disk::{Dir, RealDisk};

    use super::*;

    #[test]
    fn only_what_bootc_names_by_an_image_is_found_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let esp = Esp::new(Dir::open(&RealDisk::shared(), folder.path()).unwrap());
        let (image, digest) = ("ab".repeat(64), "cd".repeat(32));
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        write(&format!("EFI/Linux/bootc_composefs-{image}/vmlinuz"));
        write(&format!("EFI/Linux/bootc_composefs-{digest}/vmlinuz"));
        write(&format!("EFI/Linux/bootc/bootc_composefs-{image}.efi"));
        write(&format!("EFI/Linux/bootc/bootc_composefs-{image}.efi.extra.d/a.addon.efi"));
        write("EFI/Linux/bootc/other.efi");
        let found = esp.bootc_files().unwrap();
        let expected = [
            format!("/EFI/Linux/bootc/bootc_composefs-{image}.efi"),
            format!("/EFI/Linux/bootc_composefs-{image}"),
        ];
        assert_eq!(found, expected);
        std::fs::create_dir_all(folder.path().join("loader/entries.staged")).unwrap();
        assert_eq!(esp.bootc_files().unwrap(), Vec::<String>::new());
        for path in &found {
            esp.remove_bootc_files(path).unwrap();
            esp.remove_bootc_files(path).unwrap();
        }
        for path in
            ["/EFI/Linux/bootc/other.efi", "/EFI/BOOT", &format!("/EFI/Linux/bootc_composefs-{digest}"), "/"]
        {
            assert!(esp.remove_bootc_files(path).is_err(), "{path}");
        }
        let left = |path: &str| std::fs::read_dir(folder.path().join(path)).unwrap().count();
        assert_eq!((left("EFI/Linux"), left("EFI/Linux/bootc")), (2, 1));
    }
}
