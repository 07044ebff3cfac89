//! systemd-boot in an image, where systemd's build puts it.
//!
//! What lives here: which files there are, and where `bootctl install` would put them: by its own name, and by the name that
//! firmware boots from removable media and where no boot variable says otherwise.

use sealstone_store::{Repository, tree::Tree};

use super::{Loader, LoaderFile, LoaderKind, secure_boot_keys};
use crate::BootError;

const FOLDER: &str = "/usr/lib/systemd/boot/efi";
const PREFIX: &str = "systemd-boot";
const SIGNED: &str = ".signed";

/// The image's systemd-boot for each architecture that it has.
pub(super) fn find(tree: &Tree, repository: &Repository) -> Result<Option<Loader>, BootError> {
    let Ok(folder) = tree.resolve(FOLDER.as_bytes()) else { return Ok(None) };
    let mut sources: Vec<(String, String)> = Vec::new();
    for (name, _) in tree.entries(folder) {
        let Some(name) = std::str::from_utf8(name).ok() else { continue };
        let Some(architecture) = architecture(name) else { continue };
        let source = format!("{FOLDER}/{name}");
        match sources.iter_mut().find(|(known, _)| known == architecture) {
            // A signed one boots everywhere.
            Some((_, known)) if name.ends_with(SIGNED) => *known = source,
            Some(_) => {}
            None => sources.push((architecture.to_owned(), source)),
        }
    }
    let mut files = Vec::new();
    for (architecture, source) in &sources {
        let own = format!("EFI/systemd/{PREFIX}{architecture}.efi");
        files.extend(LoaderFile::of(tree, repository, source, own)?);
    }
    // What says no version is no systemd-boot that we could compare.
    files.retain(|file| file.version.is_some());
    let Some(version) = files.first().and_then(|file| file.version.clone()) else { return Ok(None) };
    let fallback = |file: &LoaderFile| {
        let (architecture, _) = sources.iter().find(|(_, source)| *source == file.source)?;
        let path = format!("EFI/BOOT/BOOT{}.EFI", architecture.to_ascii_uppercase());
        Some(LoaderFile { path, ..file.clone() })
    };
    let fallbacks: Vec<LoaderFile> = files.iter().filter_map(fallback).collect();
    let keys = secure_boot_keys::find(tree, repository)?;
    files.splice(..0, keys);
    files.extend(fallbacks);
    Ok(Some(Loader { kind: LoaderKind::SystemdBoot, version: Some(version), files }))
}

/// The architecture in a file's name, as UEFI calls it: `x64` of `systemd-bootx64.efi`.
fn architecture(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(SIGNED).unwrap_or(name).strip_suffix(".efi")?;
    let architecture = stem.strip_prefix(PREFIX)?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_one = (1..=16).contains(&architecture.len()) && architecture.chars().all(is_plain);
    is_one.then_some(architecture)
}
