//! The part of an image that a deployment has for itself: `/etc` and `/var` as a small tree of their own.

use std::collections::HashMap;

use sealstone_store::tree::{FileType, InodeId, Tree, XattrSet};

use crate::DeployError;

/// The folders that are carved out, if the image has them.
pub(crate) const FOLDERS: [&[u8]; 2] = [b"etc", b"var"];

/// A copy of the image's root with nothing in it but `/etc` and `/var`, hardlinks as they are.
pub(crate) fn carve(image: &Tree) -> Result<Tree, DeployError> {
    let mut carved = Tree::new(image.metadata(image.root()));
    let mut copy = Copier::new(image);
    for name in FOLDERS {
        let Some(folder) = folder_of(image, name) else { continue };
        let made = copy.inode(&mut carved, folder)?;
        carved.link(carved.root(), name, made)?;
        let mut open = vec![(folder, made)];
        while let Some((from, to)) = open.pop() {
            for (name, inode) in image.entries(from) {
                let made = copy.inode(&mut carved, inode)?;
                carved.link(to, name, made)?;
                if image.file_type(inode) == FileType::Directory {
                    open.push((inode, made));
                }
            }
        }
    }
    Ok(carved)
}

/// A folder in the root of a tree.
pub(crate) fn folder_of(tree: &Tree, name: &[u8]) -> Option<InodeId> {
    tree.lookup(tree.root(), name).filter(|inode| tree.file_type(*inode) == FileType::Directory)
}

/// Inodes of one tree, copied to another, each once.
pub(super) struct Copier<'a> {
    from: &'a Tree,
    made: HashMap<InodeId, InodeId>,
    sets: HashMap<XattrSet, XattrSet>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(from: &'a Tree) -> Self {
        Self { from, made: HashMap::new(), sets: HashMap::new() }
    }

    /// The copy of an inode; that of a folder is empty.
    pub(super) fn inode(&mut self, to: &mut Tree, inode: InodeId) -> Result<InodeId, DeployError> {
        if let Some(made) = self.made.get(&inode) {
            return Ok(*made);
        }
        let set = self.set(to, self.from.xattr_set(inode))?;
        let made = to.add(self.from.metadata(inode), self.from.content(inode), set)?;
        self.made.insert(inode, made);
        Ok(made)
    }

    fn set(&mut self, to: &mut Tree, set: XattrSet) -> Result<XattrSet, DeployError> {
        if let Some(made) = self.sets.get(&set) {
            return Ok(*made);
        }
        let pairs: Vec<_> = self.from.xattrs_of(set).collect();
        let made = to.intern_xattrs(&pairs)?;
        self.sets.insert(set, made);
        Ok(made)
    }
}
