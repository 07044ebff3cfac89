//! Keys that systemd-boot enrols for Secure Boot, from an image to the boot partition.
//!
//! Source: bootc's `/usr/lib/bootc/install/secureboot-keys/<name>/*.auth`, which go to `loader/keys/<name>/`, where
//! systemd-boot looks for them. They are data to us: the firmware checks what they are signed with.

use sealstone_store::{
    Repository,
    tree::{FileType, Tree},
};

use super::{LoaderFile, is_fat_name};
use crate::BootError;

const FOLDER: &str = "/usr/lib/bootc/install/secureboot-keys";

/// More than any vendor has.
const FILES_MAX: usize = 64;

pub(super) fn find(tree: &Tree, repository: &Repository) -> Result<Vec<LoaderFile>, BootError> {
    let mut files = Vec::new();
    let Ok(folder) = tree.resolve(FOLDER.as_bytes()) else { return Ok(files) };
    for (set, inode) in tree.entries(folder) {
        let Some(set) = std::str::from_utf8(set).ok().filter(|set| is_fat_name(set)) else { continue };
        if tree.file_type(inode) != FileType::Directory {
            continue;
        }
        for (name, _) in tree.entries(inode) {
            let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_fat_name(name)) else {
                continue;
            };
            if name.strip_suffix(".auth").is_none() {
                continue;
            }
            let source = format!("{FOLDER}/{set}/{name}");
            files.extend(LoaderFile::of(tree, repository, &source, format!("loader/keys/{set}/{name}"))?);
            if files.len() > FILES_MAX {
                let (what, size, limit) =
                    (format!("number of keys in {FOLDER}"), files.len() as u64, FILES_MAX as u64);
                return Err(BootError::TooBig { what, size, limit });
            }
        }
    }
    Ok(files)
}
