//! shim and GRUB in an image, as bootupd carries them: files for the EFI system partition, and what they are.
//!
//! What lives here: reading that as data. What does not: bootupd's own state, GRUB's configuration, legacy BIOS: for those
//! bootupd's programs would have to run.
//! Source: bootupd's `/usr/lib/bootupd/updates`: `EFI.json` with a version, and the tree `EFI/` beside it; where newer builds
//! leave that tree out, `/usr/lib/efi/<component>/<version>/EFI`.

use sealstone_store::{
    Repository,
    tree::{FileType, InodeId, Tree},
};
use serde::Deserialize;

use super::{Loader, LoaderFile, LoaderKind, image_file, is_fat_name};
use crate::BootError;

const METADATA: &str = "/usr/lib/bootupd/updates/EFI.json";
const TREE: &str = "/usr/lib/bootupd/updates/EFI";
const COMPONENTS: &str = "/usr/lib/efi";

/// The most bytes of the metadata.
const METADATA_MAX: u64 = 64 << 10;
/// The most files of a boot loader.
const FILES_MAX: usize = 256;
/// The deepest folder below `EFI`.
const DEPTH_MAX: usize = 8;

/// `EFI.json`. Other keys say nothing that is needed here.
#[derive(Deserialize)]
struct Metadata {
    version: String,
}

pub(super) fn find(tree: &Tree, repository: &Repository) -> Result<Option<Loader>, BootError> {
    let Some(metadata) = image_file(tree, repository, METADATA)? else { return Ok(None) };
    let version = version(&metadata)?;
    let mut files = Vec::new();
    for folder in folders(tree) {
        let Ok(inode) = tree.resolve(folder.as_bytes()) else { continue };
        walk(tree, repository, (inode, &folder, "EFI".to_owned()), 0, &mut files)?;
    }
    // What the firmware falls back to goes last, when all that it needs is there.
    files.sort_by(|a: &LoaderFile, b| a.is_fallback().cmp(&b.is_fallback()).then(a.path.cmp(&b.path)));
    let has_program = files.iter().any(|file| file.path.to_ascii_lowercase().ends_with(".efi"));
    Ok(has_program.then_some(Loader { kind: LoaderKind::Grub, version: Some(version), files }))
}

fn version(metadata: &crate::Blob) -> Result<String, BootError> {
    if metadata.size() > METADATA_MAX {
        let (what, size) = (METADATA.to_owned(), metadata.size());
        return Err(BootError::TooBig { what, size, limit: METADATA_MAX });
    }
    let mut bytes = Vec::new();
    metadata.read(|_, piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    let parsed: Result<Metadata, _> = serde_json::from_slice(&bytes);
    parsed.map(|metadata| metadata.version).map_err(|error| {
        BootError::invalid("bootupd metadata", &String::from_utf8_lossy(&bytes), error.to_string())
    })
}

/// The folders whose content goes into `EFI/`.
fn folders(tree: &Tree) -> Vec<String> {
    let is_folder = |path: &str| {
        tree.resolve(path.as_bytes()).is_ok_and(|inode| tree.file_type(inode) == FileType::Directory)
    };
    if is_folder(TREE) {
        return vec![TREE.to_owned()];
    }
    let names = |path: &str| -> Vec<String> {
        let Ok(inode) = tree.resolve(path.as_bytes()) else { return Vec::new() };
        if tree.file_type(inode) != FileType::Directory {
            return Vec::new();
        }
        tree.entries(inode)
            .filter_map(|(name, _)| Some(format!("{path}/{}", std::str::from_utf8(name).ok()?)))
            .collect()
    };
    let versions = names(COMPONENTS).into_iter().flat_map(|component| names(&component));
    versions.map(|version| format!("{version}/EFI")).filter(|path| is_folder(path)).collect()
}

fn walk(
    tree: &Tree,
    repository: &Repository,
    (folder, source, place): (InodeId, &str, String),
    depth: usize,
    files: &mut Vec<LoaderFile>,
) -> Result<(), BootError> {
    let too_big = |what: &str, size: usize, limit: usize| BootError::TooBig {
        what: format!("{what} in the image's {source}"),
        size: size as u64,
        limit: limit as u64,
    };
    if depth > DEPTH_MAX {
        return Err(too_big("depth of folders", depth, DEPTH_MAX));
    }
    for (name, inode) in tree.entries(folder) {
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_fat_name(name)) else { continue };
        let (from, to) = (format!("{source}/{name}"), format!("{place}/{name}"));
        match tree.file_type(inode) {
            // Kernels are nobody's but the entries'.
            FileType::Directory if !to.eq_ignore_ascii_case("EFI/Linux") => {
                walk(tree, repository, (inode, &from, to), depth + 1, files)?;
            }
            FileType::Regular => files.extend(LoaderFile::of(tree, repository, &from, to)?),
            _ => {}
        }
        if files.len() > FILES_MAX {
            return Err(too_big("number of files", files.len(), FILES_MAX));
        }
    }
    Ok(())
}
