//! Labels on every inode of a tree.
//!
//! What lives here: the walk, with aliases and hardlinks. What does not: which image gets labels (the profiles).
//! Invariants: a directory is labelled by the path that its aliases lead to, and so is all below it; the first name of
//! an inode, in preorder, decides its label, and a later name that wants another gets a copy of the inode.

use std::collections::HashMap;

use sealstone_store::tree::{Content, FileType, InodeId, Tree, TreeError, XattrSet};

use super::{Policy, SELINUX_XATTR};
use crate::DeployError;

/// Gives every file of the tree the label that the policy has for its path, in the place of any that it has.
///
/// # Errors
/// [`DeployError::Policy`] when a search gives up, [`DeployError::Tree`] when the attributes outgrow the format.
pub fn label(tree: &mut Tree, policy: &mut Policy) -> Result<(), DeployError> {
    let mut labeller = Labeller { policy, sets: HashMap::new(), labels: HashMap::new() };
    let root = tree.root();
    let decided = labeller.decide(b"/", FileType::Directory)?;
    labeller.set(tree, root, decided)?;
    // The directories that the walk is in: each with the path that labels it, and its children still to visit.
    let mut open = vec![Open::new(tree, root, b"/".to_vec())];
    while let Some(Open { directory, path, children }) = open.last_mut() {
        let Some((name, inode)) = children.next() else {
            open.pop();
            continue;
        };
        let (directory, path) = (*directory, labeller.path_of(path, &name));
        let kind = tree.file_type(inode);
        let decided = labeller.decide(&path, kind)?;
        if kind == FileType::Directory {
            labeller.set(tree, inode, decided)?;
            open.push(Open::new(tree, inode, path));
        } else {
            labeller.set_leaf(tree, (directory, &name), inode, decided)?;
        }
    }
    Ok(())
}

/// Gives a label to each file of a subtree that has none: `path` is what its top is called, from the image's root on. The
/// first name of a file, in preorder, decides.
///
/// # Errors
/// As [`label`].
pub(crate) fn label_missing(
    tree: &mut Tree,
    (top, path): (InodeId, &[u8]),
    policy: &mut Policy,
) -> Result<(), DeployError> {
    let mut labeller = Labeller { policy, sets: HashMap::new(), labels: HashMap::new() };
    let mut to_visit = vec![(top, path.to_vec())];
    while let Some((inode, path)) = to_visit.pop() {
        if tree.xattrs(inode).get(SELINUX_XATTR).is_none() {
            let decided = labeller.decide(&path, tree.file_type(inode))?;
            labeller.set(tree, inode, decided)?;
        }
        let children = tree.entries(inode).rev();
        to_visit.extend(children.map(|(name, child)| (child, labeller.path_of(&path, name))));
    }
    Ok(())
}

struct Open {
    directory: InodeId,
    path: Vec<u8>,
    children: std::vec::IntoIter<(Box<[u8]>, InodeId)>,
}

impl Open {
    fn new(tree: &Tree, directory: InodeId, path: Vec<u8>) -> Self {
        let children: Vec<_> = tree.entries(directory).map(|(name, inode)| (name.into(), inode)).collect();
        Self { directory, path, children: children.into_iter() }
    }
}

/// A pattern's number, as the label that it stands for; `None` for no label.
type Label = Option<usize>;

struct Labeller<'a> {
    policy: &'a mut Policy,
    /// The set that a set becomes with a label.
    sets: HashMap<(XattrSet, Label), XattrSet>,
    /// The label that a file with several names got at its first.
    labels: HashMap<InodeId, Label>,
}

impl Labeller<'_> {
    /// The path by which a child is labelled: its own, or its alias.
    fn path_of(&self, parent: &[u8], name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
        path.extend_from_slice(parent);
        if !parent.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        match self.policy.alias(&path) {
            Some(alias) => alias.to_vec(),
            None => path,
        }
    }

    /// The pattern that labels this path, `None` where nothing matches or `<<none>>` does.
    fn decide(&mut self, path: &[u8], kind: FileType) -> Result<Label, DeployError> {
        let decided = self.policy.decide(path, kind)?;
        Ok(decided.filter(|pattern| self.policy.context(*pattern).is_some()))
    }

    fn set_leaf(
        &mut self,
        tree: &mut Tree,
        (directory, name): (InodeId, &[u8]),
        inode: InodeId,
        label: Label,
    ) -> Result<(), DeployError> {
        match self.labels.get(&inode) {
            None => {
                self.labels.insert(inode, label);
                self.set(tree, inode, label)
            }
            Some(first) if self.text(*first) == self.text(label) => Ok(()),
            Some(_) => {
                let copy = copy_inode(tree, inode)?;
                tree.unlink(directory, name);
                tree.link(directory, name, copy)?;
                self.labels.insert(copy, label);
                self.set(tree, copy, label)
            }
        }
    }

    fn text(&self, label: Label) -> Option<&str> {
        self.policy.context(label?)
    }

    fn set(&mut self, tree: &mut Tree, inode: InodeId, label: Label) -> Result<(), DeployError> {
        let old = tree.xattr_set(inode);
        let new = if let Some(new) = self.sets.get(&(old, label)) {
            *new
        } else {
            let new = relabelled(tree, old, self.text(label))?;
            self.sets.insert((old, label), new);
            new
        };
        tree.set_xattrs(inode, new);
        Ok(())
    }
}

/// The set with this label in the place of its own.
fn relabelled(tree: &mut Tree, old: XattrSet, label: Option<&str>) -> Result<XattrSet, TreeError> {
    let owned: Vec<(Vec<u8>, Vec<u8>)> = tree
        .xattrs_of(old)
        .filter(|(name, _)| *name != SELINUX_XATTR)
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    let mut pairs: Vec<(&[u8], &[u8])> = owned.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    if let Some(label) = label {
        pairs.push((SELINUX_XATTR, label.as_bytes()));
    }
    tree.intern_xattrs(&pairs)
}

/// A second inode with the same content and metadata.
fn copy_inode(tree: &mut Tree, inode: InodeId) -> Result<InodeId, TreeError> {
    let (metadata, set) = (tree.metadata(inode), tree.xattr_set(inode));
    match tree.content(inode) {
        Content::Inline(bytes) => {
            let bytes = bytes.to_vec();
            tree.add(metadata, Content::Inline(&bytes), set)
        }
        Content::Symlink(target) => {
            let target = target.to_vec();
            tree.add(metadata, Content::Symlink(&target), set)
        }
        Content::External { object, size } => tree.add(metadata, Content::External { object, size }, set),
        Content::CharDevice(number) => tree.add(metadata, Content::CharDevice(number), set),
        Content::BlockDevice(number) => tree.add(metadata, Content::BlockDevice(number), set),
        Content::Fifo => tree.add(metadata, Content::Fifo, set),
        Content::Directory => tree.add(metadata, Content::Directory, set),
        Content::Socket => tree.add(metadata, Content::Socket, set),
    }
}
