//! A copy of a tree with other objects, or without hardlinks.

use std::collections::HashMap;

use sealstone_store::{
    ObjectId,
    tree::{Content, FileType, InodeId, Tree, XattrSet},
};

use crate::DeployError;

/// The tree again, each object replaced by what `object` makes of it; `keep_links` says whether a file with several names
/// stays one file.
pub(super) fn copied(
    tree: &Tree,
    keep_links: bool,
    mut object: impl FnMut(ObjectId) -> Result<ObjectId, DeployError>,
) -> Result<Tree, DeployError> {
    let root = tree.root();
    let mut copy = Tree::with_capacity(tree.metadata(root), tree.inode_count());
    let mut sets: HashMap<XattrSet, XattrSet> = HashMap::new();
    let mut made: HashMap<InodeId, InodeId> = HashMap::new();
    let set = set_of(tree, root, &mut copy, &mut sets)?;
    copy.set_xattrs(copy.root(), set);
    let mut open = vec![(root, copy.root())];
    while let Some((from, into)) = open.pop() {
        for (name, inode) in tree.entries(from) {
            if let Some(known) = made.get(&inode).filter(|_| keep_links) {
                copy.link(into, name, *known)?;
                continue;
            }
            let content = match tree.content(inode) {
                Content::External { object: id, size } => Content::External { object: object(id)?, size },
                content => content,
            };
            let set = set_of(tree, inode, &mut copy, &mut sets)?;
            let new = copy.add(tree.metadata(inode), content, set)?;
            copy.link(into, name, new)?;
            if tree.file_type(inode) == FileType::Directory {
                open.push((inode, new));
            } else {
                made.insert(inode, new);
            }
        }
    }
    Ok(copy)
}

fn set_of(
    tree: &Tree,
    inode: InodeId,
    copy: &mut Tree,
    sets: &mut HashMap<XattrSet, XattrSet>,
) -> Result<XattrSet, DeployError> {
    let set = tree.xattr_set(inode);
    if let Some(known) = sets.get(&set) {
        return Ok(*known);
    }
    let pairs: Vec<_> = tree.xattrs(inode).collect();
    let made = copy.intern_xattrs(&pairs)?;
    sets.insert(set, made);
    Ok(made)
}
