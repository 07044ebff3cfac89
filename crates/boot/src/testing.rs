//! Trees for this crate's tests: files of given contents, and the folders that they are in.

use sealstone_store::tree::{Content, Metadata, Timestamp, Tree, XattrSet};

/// The tree of an image with these files, by paths without a leading slash.
pub fn tree<'a>(files: impl IntoIterator<Item = (&'a str, Content<'a>)>) -> Tree {
    let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::default() };
    let mut tree = Tree::new(metadata);
    for (path, content) in files {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = tree.root();
        for part in parent.split('/').filter(|part| !part.is_empty()) {
            folder = tree.lookup(folder, part.as_bytes()).unwrap_or_else(|| {
                let new = tree.add(metadata, Content::Directory, XattrSet::EMPTY).unwrap();
                tree.link(folder, part.as_bytes(), new).unwrap();
                new
            });
        }
        let file = tree.add(metadata, content, XattrSet::EMPTY).unwrap();
        tree.link(folder, name.as_bytes(), file).unwrap();
    }
    tree
}
