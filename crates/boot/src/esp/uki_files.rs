//! Unified kernel images on a boot partition, with their addons.
//!
//! What lives here: their names and their writing. What does not: removal (`bootc_files.rs`, as bootc has the same names),
//! which are wanted.
//! Source: bootc puts an image into `EFI/Linux/bootc/`, where no boot loader lists it by itself, and names it in an entry;
//! systemd-stub takes the addons in the folder `<file>.extra.d` beside it.
//! Invariant: the image is whole before its addons are, and both before an entry names it (rule D9).

use sealstone_store::Optional;

use super::{Esp, KERNEL_PREFIX, bootc_files::UKIS, remove::remove_file, write::put_file};
use crate::{Blob, BootError, esp::folder::ensure_dir};

/// What firmware finds beside an image is in a folder of this name.
const EXTRA: &str = ".extra.d";

/// How the name of an addon's file ends.
const ADDON: &str = ".addon.efi";

impl Esp {
    /// The path by which an entry names the unified kernel image of a deployment: its root image's id, as with bootc, and
    /// behind it `.1` and on for others of the same root image.
    #[must_use]
    pub fn uki_path(deployment: &str) -> String {
        format!("/{UKIS}/{KERNEL_PREFIX}{deployment}.efi")
    }

    /// The deployment in such a path, which the stub tells the system that it boots: with the firmware's separators, and
    /// perhaps its case.
    #[must_use]
    pub fn deployment_of_uki_path(path: &str) -> Option<String> {
        let path = path.replace('\\', "/").to_ascii_lowercase();
        let name = path.strip_prefix(&format!("/{UKIS}/").to_ascii_lowercase())?;
        Some(name.strip_prefix(KERNEL_PREFIX)?.strip_suffix(".efi")?.to_owned())
    }

    /// The path of an addon to an image at `path`.
    #[must_use]
    pub fn addon_path(path: &str, name: &str) -> String {
        format!("{path}{EXTRA}/{name}{ADDON}")
    }

    /// The names of the addons beside an image at `path`, sorted.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn addons_beside(&self, path: &str) -> Result<Vec<String>, BootError> {
        let extra = format!("{}{EXTRA}", path.trim_start_matches('/'));
        let Some(extra) = self.root.open_dir(extra).optional()? else { return Ok(Vec::new()) };
        let name = |file: sealstone_store::disk::DirEntry| {
            Some(file.name.to_str()?.strip_suffix(ADDON)?.to_owned()).filter(|name| !name.is_empty())
        };
        let mut names: Vec<String> = extra.read_dir()?.into_iter().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The bytes that writing these files and one entry would take, in whole clusters: 0 for what is there by its size.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn bytes_needed_for(&self, files: &[(String, u64)]) -> Result<u64, BootError> {
        let cluster = self.space()?.block.max(1);
        // Two new folders, which may make theirs grow, and the entry.
        let mut needed = 4 * cluster;
        for (path, size) in files {
            if self.file_size(path)? != Some(*size) {
                needed += size.next_multiple_of(cluster);
            }
        }
        Ok(needed)
    }

    /// The bytes that removing an image of [`uki_path`](Self::uki_path) with its addons gives back, in whole clusters.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn uki_bytes(&self, path: &str) -> Result<u64, BootError> {
        let cluster = self.space()?.block.max(1);
        let mut bytes = self.file_size(path)?.unwrap_or_default().next_multiple_of(cluster);
        let extra = format!("{}{EXTRA}", path.trim_start_matches('/'));
        let Some(extra) = self.root.open_dir(extra).optional()? else { return Ok(bytes) };
        for file in extra.read_dir()? {
            let there = extra.metadata(&file.name).optional()?;
            bytes += there.map_or(0, |there| there.size.next_multiple_of(cluster));
        }
        Ok(bytes + cluster)
    }

    /// Writes the unified kernel image of a deployment, and its addons by name, unless whole copies are there. Other addons
    /// beside it are of an earlier run, and go.
    ///
    /// # Errors
    /// [`BootError::Corrupt`] when the bytes do not read back, [`BootError::Invalid`] for a name that FAT does not take, and
    /// the disk's errors.
    pub fn write_uki(
        &self,
        deployment: &str,
        uki: &Blob,
        addons: &[(String, Blob)],
    ) -> Result<(), BootError> {
        let folder = self.ensure_path(UKIS)?;
        let name = format!("{KERNEL_PREFIX}{deployment}.efi");
        // D9 (1): the image before its addons, and all before the entry that names it.
        put_file(&folder, &name, uki)?;
        let extra = format!("{name}{EXTRA}");
        let wanted: Vec<String> = addons.iter().map(|(addon, _)| format!("{addon}{ADDON}")).collect();
        if let Some(there) = folder.open_dir(&extra).optional()? {
            for file in there.read_dir()? {
                if !wanted.iter().any(|wanted| file.name.eq_ignore_ascii_case(wanted)) {
                    remove_file(&there, &file.name.to_string_lossy())?;
                }
            }
        }
        for ((addon, blob), file) in addons.iter().zip(&wanted) {
            check_name(addon)?;
            put_file(&ensure_dir(&self.root, &folder, &extra)?, file, blob)?;
        }
        Ok(())
    }
}

/// A name of an addon comes from an image: it must stay in its folder, and be one that FAT takes.
fn check_name(name: &str) -> Result<(), BootError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '~');
    if !name.is_empty() && !name.starts_with('.') && name.len() <= 200 && name.chars().all(plain) {
        return Ok(());
    }
    Err(BootError::invalid("name of an addon", name, "letters, digits, '-', '_', '.', '+' and '~' only"))
}

#[cfg(test)]
mod tests {
    use sealstone_store::{
        Algorithm,
        disk::{Dir, RealDisk},
        verity,
    };

    use super::*;

    fn blob(text: &str) -> Blob {
        Blob::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn an_image_is_written_with_just_its_addons_and_goes_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let esp = Esp::new(Dir::open(&RealDisk::shared(), folder.path()).unwrap());
        let image = verity::digest(Algorithm::Sha512, b"image").to_hex();
        let path = Esp::uki_path(&image);
        assert_eq!(
            Esp::deployment_of_uki_path(&path.replace('/', "\\").to_ascii_uppercase()),
            Some(image.clone())
        );
        let addon = |name: &str| (name.to_owned(), blob(name));
        esp.write_uki(&image, &blob("uki"), &[addon("console"), addon("debug")]).unwrap();
        esp.write_uki(&image, &blob("uki"), &[addon("console")]).unwrap();
        assert_eq!(esp.file_size(&path).unwrap(), Some(3));
        assert_eq!(esp.file_size(&Esp::addon_path(&path, "console")).unwrap(), Some(7));
        assert_eq!(esp.file_size(&Esp::addon_path(&path, "debug")).unwrap(), None);
        assert!(esp.uki_bytes(&path).unwrap() > 0);
        assert_eq!(esp.bootc_files().unwrap(), [path.as_str()]);
        esp.remove_bootc_files(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("EFI/Linux/bootc")).unwrap().count(), 0);
    }

    #[test]
    fn the_name_of_an_addon_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let esp = Esp::new(Dir::open(&RealDisk::shared(), folder.path()).unwrap());
        let image = verity::digest(Algorithm::Sha512, b"image").to_hex();
        for bad in ["../../evil", "a/b", "", ".hidden", "a:b", &"x".repeat(201)] {
            let refused = esp.write_uki(&image, &blob("uki"), &[(bad.to_owned(), blob("addon"))]);
            assert!(refused.is_err(), "{bad}");
        }
    }
}
