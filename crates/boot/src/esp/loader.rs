//! A boot partition's boot loader: what is there, and the durable writes of its files.
//!
//! What lives here: looking and writing. What does not: which files are wanted ([`Loader`](crate::Loader)).

use sealstone_store::{
    Optional,
    disk::{Dir, FileType},
};

use super::{Esp, write};
use crate::{
    Blob, BootError, FoundLoader,
    blob::read_file,
    loader::{LOADER_FILE_MAX, Scan, is_fat_name},
};

/// Where systemd-boot is by its own name, and where firmware looks when no boot variable says otherwise.
const FOLDERS: [&str; 2] = ["EFI/systemd", "EFI/BOOT"];

impl Esp {
    /// The programs in the places of boot loaders, sorted by path.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn loaders(&self) -> Result<Vec<FoundLoader>, BootError> {
        let mut found = Vec::new();
        for place in FOLDERS {
            let Some(folder) = self.root.open_dir(place).optional()? else { continue };
            for entry in folder.read_dir()? {
                let Some(name) = entry.name.to_str() else { continue };
                if name.len() > 4
                    && name.get(name.len() - 4..).is_some_and(|end| end.eq_ignore_ascii_case(".efi"))
                {
                    found.extend(self.loader_file(&format!("{place}/{name}"))?);
                }
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// What is known of one file of a boot loader; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn loader_file(&self, path: &str) -> Result<Option<FoundLoader>, BootError> {
        let there = self.root.metadata(path).optional()?;
        let Some(there) = there.filter(|there| there.kind == FileType::File) else { return Ok(None) };
        let found =
            |sha256, version| FoundLoader { path: path.to_owned(), size: there.size, sha256, version };
        if there.size > LOADER_FILE_MAX {
            return Ok(Some(found(None, None)));
        }
        let Some(file) = self.root.open_file(path).optional()? else { return Ok(None) };
        let mut scan = Scan::default();
        read_file(&file, |piece| scan.feed(piece))?;
        let (sha256, version) = scan.finish();
        Ok(Some(found(Some(sha256), version)))
    }

    /// Writes a file of a boot loader by this path, in the place of one that is there: whatever cuts it off, the one or the
    /// other is whole. One that has this content stays.
    ///
    /// # Errors
    /// [`BootError::Invalid`] for a path that is none on FAT, [`BootError::Corrupt`] when it does not read back, and the
    /// disk's errors.
    pub fn put_loader_file(&self, path: &str, blob: &Blob) -> Result<(), BootError> {
        let (folder, name) = self.parent_of(path)?;
        write::replace_file(&folder, name, blob)
    }

    /// Writes a small file by this path if nothing is there: what is there may be the administrator's.
    ///
    /// # Errors
    /// As [`Esp::put_loader_file`].
    pub fn put_text(&self, path: &str, text: &str) -> Result<(), BootError> {
        let (folder, name) = self.parent_of(path)?;
        let there = folder.metadata(name).optional()?;
        // An empty one is what a power cut leaves.
        if there.is_some_and(|there| there.size > 0) {
            return Ok(());
        }
        let blob = Blob::Bytes(text.as_bytes().to_vec());
        write::put_file(&folder, name, &blob)
    }

    /// Whether there is something by this path that a power cut did not leave empty.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has_text(&self, path: &str) -> Result<bool, BootError> {
        Ok(self.root.metadata(path).optional()?.is_some_and(|there| there.size > 0))
    }

    /// The bytes that writing a file takes, folders and the one that it replaces counted, in whole clusters.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn loader_bytes_needed(&self, size: u64) -> Result<u64, BootError> {
        let cluster = self.space()?.block.max(1);
        Ok(size.next_multiple_of(cluster) + 2 * cluster)
    }

    /// The folder of a path, made if it is missing, and the name in it.
    fn parent_of<'a>(&self, path: &'a str) -> Result<(Dir, &'a str), BootError> {
        let parts = path.rsplit_once('/').filter(|_| path.split('/').all(is_fat_name));
        let Some((folder, name)) = parts else {
            return Err(BootError::invalid(
                "path on a boot partition",
                path,
                "it has a part that FAT does not allow",
            ));
        };
        Ok((self.ensure_path(folder)?, name))
    }
}
