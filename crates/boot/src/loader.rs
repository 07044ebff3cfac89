//! Boot loaders that an image brings: which of its files go where on a boot partition, and which of them are newer.
//!
//! What lives here: finding them in an image's tree as data (nothing of an image is run), and the choice of what is
//! written over what. What does not: the writing (`esp/loader.rs`), the wish for one or the other boot loader.
//! Invariants: a newer systemd-boot is never replaced by an older one; the file that the firmware falls back to comes
//! last, so that one boot loader is whole at any moment; another's boot loader is left alone unless it was asked for.

mod bootupd;
mod magic;
mod secure_boot_keys;
mod systemd_boot;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use sealstone_store::{
    Repository,
    tree::{Content, FileType, Tree},
};

use crate::{Blob, BootError, compare_versions};
pub(crate) use magic::{Scan, scan_blob};

/// The largest file that we take for a boot loader's, in bytes.
pub(crate) const LOADER_FILE_MAX: u64 = 16 << 20;

/// The boot loaders that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    /// systemd-boot.
    SystemdBoot,
    /// GRUB, as bootupd carries it: with shim, in files for the EFI system partition.
    Grub,
}

impl LoaderKind {
    /// Its name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "GRUB",
        }
    }
}

/// A boot loader in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Which one.
    pub kind: LoaderKind,
    /// Its version, as it or its metadata says.
    pub version: Option<String>,
    /// Its files, in the order in which they are written.
    pub files: Vec<LoaderFile>,
}

/// A file of a boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderFile {
    /// Where it goes: a path on the boot partition, without a slash before.
    pub path: String,
    /// Where it is in the image.
    pub source: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// The version of systemd-boot that it says it is, such as `257.9-1`.
    pub version: Option<String>,
}

/// A boot loader's file on a boot partition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FoundLoader {
    /// Its path on the boot partition, without a slash before.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal digits; nothing of what is too large for a boot loader.
    pub sha256: Option<String>,
    /// The version of systemd-boot that it says it is; nothing of another boot loader.
    pub version: Option<String>,
}

/// How much a boot loader is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderWish {
    /// Where there is none, or this one already: another's is left alone.
    Default,
    /// In the place of any other.
    Asked,
}

/// What becomes of the boot loader on one boot partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderChanges<'a> {
    /// The files to write, in order.
    pub write: Vec<&'a LoaderFile>,
    /// What is left as it is though it differs, and why.
    pub notes: Vec<String>,
}

impl Loader {
    /// The image's systemd-boot, signed where it has it signed, and the keys to enrol for Secure Boot.
    ///
    /// # Errors
    /// When an object cannot be read, or a file is larger than a boot loader's.
    pub fn systemd_boot(tree: &Tree, repository: &Repository) -> Result<Option<Self>, BootError> {
        systemd_boot::find(tree, repository)
    }

    /// What the image has for bootupd: shim and GRUB.
    ///
    /// # Errors
    /// When an object cannot be read, or there is more than a boot loader has.
    pub fn grub(tree: &Tree, repository: &Repository) -> Result<Option<Self>, BootError> {
        bootupd::find(tree, repository)
    }

    /// What is to be written where these files are. `there` are those on the boot partition.
    #[must_use]
    pub fn changes(&self, there: &[FoundLoader], wish: LoaderWish) -> LoaderChanges<'_> {
        let found = |path: &str| there.iter().find(|found| found.path.eq_ignore_ascii_case(path));
        let is_foreign = |found: &FoundLoader| match self.kind {
            LoaderKind::SystemdBoot => found.version.is_none(),
            LoaderKind::Grub => true,
        };
        let fallback = |file: &&LoaderFile| file.is_fallback();
        let is_taken = wish == LoaderWish::Default
            && self.files.iter().filter(fallback).any(|file| found(&file.path).is_some_and(is_foreign));
        let mut changes = LoaderChanges::default();
        for file in &self.files {
            let Some(found) = found(&file.path) else {
                // Beside another's boot loader, ours would be what nothing starts.
                if !is_taken {
                    changes.write.push(file);
                }
                continue;
            };
            if found.sha256.as_deref() == Some(&file.sha256) {
                continue;
            }
            match self.refusal(file, found, is_taken) {
                None => changes.write.push(file),
                Some(reason) => changes.notes.push(format!("{} is left as it is: {reason}", file.path)),
            }
        }
        changes
    }

    /// Why a file that is there is not replaced by another.
    fn refusal(&self, file: &LoaderFile, found: &FoundLoader, is_taken: bool) -> Option<String> {
        if let (Some(ours), Some(theirs)) = (&file.version, &found.version) {
            let is_newer = compare_versions(theirs, ours) == Ordering::Greater;
            return is_newer.then(|| format!("systemd-boot {theirs} is newer than the image's {ours}"));
        }
        is_taken.then(|| format!("it is not this image's {}", self.kind.name()))
    }
}

impl LoaderFile {
    /// Whether the firmware falls back to it, and removable media boot by it.
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        self.path.get(..9).is_some_and(|folder| folder.eq_ignore_ascii_case("EFI/BOOT/"))
    }

    /// What is known of a file of an image. `None` when it is no regular file.
    fn of(
        tree: &Tree,
        repository: &Repository,
        source: &str,
        path: String,
    ) -> Result<Option<Self>, BootError> {
        let Some(blob) = image_file(tree, repository, source)? else { return Ok(None) };
        let (size, limit) = (blob.size(), LOADER_FILE_MAX);
        if size > limit {
            return Err(BootError::TooBig { what: format!("boot loader file {source}"), size, limit });
        }
        let scan = scan_blob(&blob)?;
        Ok(Some(Self { path, source: source.to_owned(), size, sha256: scan.0, version: scan.1 }))
    }
}

/// A file of an image, ready to be read; `None` when it is not there or no regular file.
///
/// # Errors
/// None that a tree of the repository's gives.
pub fn image_file(tree: &Tree, repository: &Repository, path: &str) -> Result<Option<Blob>, BootError> {
    let Ok(inode) = tree.resolve(path.as_bytes()) else { return Ok(None) };
    if tree.file_type(inode) != FileType::Regular {
        return Ok(None);
    }
    Ok(match tree.content(inode) {
        Content::Inline(bytes) => Some(Blob::Bytes(bytes.to_vec())),
        Content::External { object, size } => Some(Blob::Object(repository.clone(), object, size)),
        _ => None,
    })
}

/// Whether a text may be one part of a path on FAT.
pub(crate) fn is_fat_name(name: &str) -> bool {
    let fat = |c: char| !c.is_control() && !"\"*/:<>?\\|".contains(c);
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(fat)
}
