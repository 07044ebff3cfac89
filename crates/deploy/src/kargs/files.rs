//! The configuration files in folders of an image, in the order in which they are read.
//!
//! What lives here: which files there are. What does not: what is in them. Source: systemd's drop-in rules, which bootc
//! follows: files by name over all folders; of one name, that of the folder with the higher precedence stands for all; a
//! link to `/dev/null` takes the name out.

use std::collections::BTreeMap;

use sealstone_store::tree::{Content, FileType, InodeId, Tree};

use super::ConfigWarning;

/// The `*.toml` files of these folders, the one with the lowest precedence first: paths and what they are.
pub(super) fn toml_files(
    tree: &Tree,
    folders: &[&str],
    warnings: &mut Vec<ConfigWarning>,
) -> Vec<(String, InodeId)> {
    let mut found: BTreeMap<&[u8], Option<(String, InodeId)>> = BTreeMap::new();
    for path in folders {
        let Ok(folder) = tree.resolve(path.as_bytes()) else { continue };
        if tree.file_type(folder) != FileType::Directory {
            continue;
        }
        for (name, inode) in tree.entries(folder) {
            if name.starts_with(b".") || !name.ends_with(b".toml") {
                continue;
            }
            let file = format!("{path}/{}", String::from_utf8_lossy(name));
            let mut pass_over = |reason: &str| {
                warnings.push(ConfigWarning { file: file.clone(), line: 1, reason: reason.to_owned() });
            };
            if let Content::Symlink(target) = tree.content(inode)
                && target == b"/dev/null"
            {
                found.insert(name, None);
                continue;
            }
            let whole = [path.as_bytes(), b"/", name].concat();
            match tree.resolve(&whole) {
                Ok(inode) if tree.file_type(inode) == FileType::Regular => {
                    found.insert(name, Some((file, inode)));
                }
                Ok(_) => pass_over("it is no file, and ignored"),
                Err(_) => pass_over("it leads nowhere, and is ignored"),
            }
        }
    }
    found.into_values().flatten().collect()
}
