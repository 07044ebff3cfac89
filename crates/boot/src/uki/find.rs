//! The unified kernel images of an image, and the addons that it has for them: found in its tree.
//!
//! What lives here: where images keep them. What does not: their content, the choice among them.
//! Sources: bootc takes `/boot/EFI/Linux/*.efi`, the addons in `<name>.efi.extra.d/` beside each, and those in
//! `/boot/loader/addons/`; composefs-rs looks below `/usr/lib/modules/` as well. `/boot` is empty in the image that boots, so
//! this is for the tree of the plain one.

use sealstone_store::{
    ObjectId,
    tree::{Content, InodeId, Tree},
};

use crate::kernel::MODULES;

/// Where an image keeps unified kernel images (type 2 of the Boot Loader Specification).
pub(crate) const UKIS: &str = "/boot/EFI/Linux";

/// Where it keeps addons for all of them.
pub(crate) const GLOBAL_ADDONS: &str = "/boot/loader/addons";

/// How the name of an addon's file ends.
const ADDON_SUFFIX: &str = ".addon.efi";

/// A unified kernel image in an image's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUki {
    /// Its path in the image.
    pub path: String,
    /// The object that holds it; none of a file so small that the image holds its bytes itself, which cannot boot.
    pub object: Option<ObjectId>,
    /// Its size in bytes.
    pub size: u64,
    /// The addons that the image has for it, by name; its own come before those for all.
    pub addons: Vec<FoundAddon>,
}

/// An addon in an image's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAddon {
    /// Its name: that of the file before `.addon.efi`.
    pub name: String,
    /// The object that holds it.
    pub object: ObjectId,
    /// Its size in bytes.
    pub size: u64,
}

/// The unified kernel images of an image: those in `/boot/EFI/Linux` by name, then those below `/usr/lib/modules`.
#[must_use]
pub fn find_ukis(tree: &Tree) -> Vec<FoundUki> {
    let mut found = Vec::new();
    if let Ok(folder) = tree.resolve(UKIS.as_bytes()) {
        found.extend(ukis_in(tree, folder, UKIS));
    }
    if let Ok(modules) = tree.resolve(MODULES.as_bytes()) {
        for (version, folder) in tree.entries(modules) {
            let path = format!("{MODULES}/{}", String::from_utf8_lossy(version));
            found.extend(ukis_in(tree, folder, &path));
        }
    }
    found
}

fn ukis_in(tree: &Tree, folder: InodeId, path: &str) -> Vec<FoundUki> {
    let is_uki = |name: &str| has_suffix(name, ".efi") && !has_suffix(name, ADDON_SUFFIX);
    let found = files(tree, folder).into_iter().filter(|(name, ..)| is_uki(name));
    found
        .map(|(name, object, size)| {
            let extra = format!("{name}.extra.d");
            let mut addons: Vec<FoundAddon> =
                tree.lookup(folder, extra.as_bytes()).map(|own| addons_in(tree, own)).unwrap_or_default();
            let global = tree.resolve(GLOBAL_ADDONS.as_bytes());
            let global = global.map(|global| addons_in(tree, global)).unwrap_or_default();
            for addon in global {
                if addons.iter().all(|own| own.name != addon.name) {
                    addons.push(addon);
                }
            }
            FoundUki { path: format!("{path}/{name}"), object, size, addons }
        })
        .collect()
}

fn addons_in(tree: &Tree, folder: InodeId) -> Vec<FoundAddon> {
    let name = |file: &str| file.strip_suffix(ADDON_SUFFIX).map(str::to_owned);
    let files = files(tree, folder).into_iter();
    files
        .filter_map(|(file, object, size)| Some(FoundAddon { name: name(&file)?, object: object?, size }))
        .collect()
}

/// The regular files of a folder by name, with their objects; of what is no folder there are none.
fn files(tree: &Tree, folder: InodeId) -> Vec<(String, Option<ObjectId>, u64)> {
    if tree.content(folder) != Content::Directory {
        return Vec::new();
    }
    let object = |inode| match tree.content(inode) {
        Content::External { object, size } => Some((Some(object), size)),
        Content::Inline(bytes) => Some((None, bytes.len() as u64)),
        _ => None,
    };
    tree.entries(folder)
        .filter_map(|(name, inode)| {
            let (object, size) = object(inode)?;
            Some((String::from_utf8(name.to_vec()).ok()?, object, size))
        })
        .collect()
}

/// FAT has no case, and neither have boot loaders.
fn has_suffix(name: &str, suffix: &str) -> bool {
    let start = name.len().checked_sub(suffix.len());
    start.and_then(|start| name.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use sealstone_store::{Algorithm, verity};

    use super::*;
    use crate::testing;

    fn tree(files: &[&str]) -> Tree {
        let object = |path: &str| verity::digest(Algorithm::Sha256, path.as_bytes());
        testing::tree(files.iter().map(|path| (*path, Content::External { object: object(path), size: 100 })))
    }

    #[test]
    fn images_are_found_where_bootc_and_composefs_look_with_their_addons() {
        let tree = tree(&[
            "boot/EFI/Linux/b.efi",
            "boot/EFI/Linux/readme",
            "boot/EFI/Linux/A.EFI",
            "boot/EFI/Linux/b.efi.extra.d/console.addon.efi",
            "boot/EFI/Linux/b.efi.extra.d/notes.txt",
            "boot/EFI/Linux/deep/c.efi",
            "boot/loader/addons/console.addon.efi",
            "boot/loader/addons/debug.addon.efi",
            "usr/lib/modules/6.12/6.12.efi",
            "usr/lib/modules/6.12/lone.addon.efi",
        ]);
        let found = find_ukis(&tree);
        let paths: Vec<&str> = found.iter().map(|uki| uki.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/boot/EFI/Linux/A.EFI", "/boot/EFI/Linux/b.efi", "/usr/lib/modules/6.12/6.12.efi"]
        );
        let names: Vec<&str> = found[1].addons.iter().map(|addon| addon.name.as_str()).collect();
        assert_eq!(names, ["console", "debug"]);
        let own = verity::digest(Algorithm::Sha256, b"boot/EFI/Linux/b.efi.extra.d/console.addon.efi");
        assert_eq!(found[1].addons[0].object, own);
        assert_eq!(found[0].addons.len(), 2);
        assert!(find_ukis(&self::tree(&["usr/bin/x"])).is_empty());
    }
}
