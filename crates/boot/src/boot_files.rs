//! Where an image keeps what boots it: the folders of kernels and of unified kernel images.
//!
//! What lives here: their names, and whether a tree of these folders alone is enough to find what is in them. What does not:
//! what is looked for there (`kernel.rs`, `uki/find.rs`).

use sealstone_store::tree::{FileType, Tree};

use crate::{
    kernel::MODULES,
    uki::{GLOBAL_ADDONS, UKIS},
};

/// The folders, as paths relative to the root: `/boot` (unified kernel images) and that of the kernels' modules.
pub const BOOT_FILES: [&[u8]; 2] = [b"boot", b"usr/lib/modules"];

/// Whether a tree that has of an image nothing but [`BOOT_FILES`] shows the kernels and unified kernel images that the whole
/// tree does: not so when a symlink on the way may lead out of it.
#[must_use]
pub fn shows_boot_files(part: &Tree) -> bool {
    [UKIS, GLOBAL_ADDONS, MODULES].into_iter().all(|path| !meets_symlink(part, path))
}

fn meets_symlink(tree: &Tree, path: &str) -> bool {
    let mut here = tree.root();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        // What is missing in the part is missing in the whole.
        let Some(next) = tree.lookup(here, name.as_bytes()) else { return false };
        if tree.file_type(next) == FileType::Symlink {
            return true;
        }
        here = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use sealstone_store::tree::Content;

    use super::*;
    use crate::testing::tree;

    #[test]
    fn a_symlink_on_the_way_to_kernels_or_ukis_leads_out_of_the_part() {
        let file = Content::Inline(b"x");
        let plain =
            [("boot/EFI/Linux/a.efi", file), ("usr/lib/modules/6/build", Content::Symlink(b"/usr/src"))];
        assert!(shows_boot_files(&tree(plain)));
        assert!(shows_boot_files(&tree([("etc/x", file)])));
        for path in ["boot", "boot/EFI", "boot/EFI/Linux", "boot/loader/addons", "usr/lib", "usr/lib/modules"]
        {
            assert!(!shows_boot_files(&tree([(path, Content::Symlink(b"/elsewhere"))])), "{path}");
        }
    }
}
