//! Putting overlays on what an image has of `/etc` and `/var`.
//!
//! Rules: a file of an overlay replaces what has its name; a folder that the image has keeps its own mode and owner, so that
//! nobody's umask closes `/etc`; whiteouts remove, as in any layer. Invariant: only `etc` and `var` are touched.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sealstone_import::{
    ImportOptions,
    layer_tree::{EntryKind, LayerEntry, LayerInode, LayerTree},
    stored_layer,
};
use sealstone_store::{
    Repository,
    tree::{Content, FileType, InodeId, Tree},
};

use super::{Overlay, import::rebuild};
use crate::{DeployError, ImageTrees, selinux::SELINUX_XATTR};

/// What a deployment has of its own, before the machine changes it: the image's `/etc` and `/var`, overlays on top.
pub(crate) struct Furnished {
    /// Nothing but `/etc` and `/var`. Files of overlays have no SELinux labels.
    pub tree: Tree,
    /// For each overlay, what it brings or removes: paths from the root on.
    pub paths: Vec<BTreeSet<Vec<u8>>>,
}

/// Puts overlays, the lowest first, on what an image has of `/etc` and `/var`. `trees` may know layers that are not stored.
pub(crate) fn furnish(
    repository: &Repository,
    own: Tree,
    overlays: &[Overlay],
    trees: &ImageTrees,
) -> Result<Furnished, DeployError> {
    let mut furnished = Furnished { tree: own, paths: Vec::with_capacity(overlays.len()) };
    for overlay in overlays {
        let layer = match trees.layer(&overlay.diff_id) {
            Some(measured) => measured,
            None => Arc::new(stored(repository, overlay)?),
        };
        let paths = lay(&mut furnished.tree, &layer, overlay)?;
        furnished.paths.push(paths);
    }
    Ok(furnished)
}

fn stored(repository: &Repository, overlay: &Overlay) -> Result<LayerTree, DeployError> {
    let known = stored_layer(repository, &overlay.diff_id, &ImportOptions::default())?;
    known.map_or_else(|| rebuild(repository, overlay), Ok)
}

/// Puts one overlay on a tree. Gives the paths that it touched.
pub(super) fn lay(
    tree: &mut Tree,
    layer: &LayerTree,
    overlay: &Overlay,
) -> Result<BTreeSet<Vec<u8>>, DeployError> {
    let mut work = Work { tree, made: HashMap::new(), paths: BTreeSet::new(), overlay };
    let mut open = vec![(work.tree.root(), layer.root(), Vec::new())];
    while let Some((folder, entry, path)) = open.pop() {
        for child in entry.children() {
            let path = [&path, b"/".as_slice(), child.name()].concat();
            if let Some(inode) = work.place(folder, child, &path)? {
                open.push((inode, child, path));
            }
        }
    }
    Ok(work.paths)
}

struct Work<'a> {
    tree: &'a mut Tree,
    /// Inodes that were made, by those of the layer.
    made: HashMap<usize, InodeId>,
    paths: BTreeSet<Vec<u8>>,
    overlay: &'a Overlay,
}

impl Work<'_> {
    /// Puts one entry in its place, and returns it if it is a folder to go into.
    fn place(
        &mut self,
        folder: InodeId,
        entry: LayerEntry<'_>,
        path: &[u8],
    ) -> Result<Option<InodeId>, DeployError> {
        let name = entry.name();
        if entry.removes_lower() && self.tree.unlink(folder, name).is_some() {
            self.paths.insert(path.to_vec());
        }
        let there = self.tree.lookup(folder, name);
        let there = there.filter(|inode| self.tree.file_type(*inode) == FileType::Directory);
        match (entry.kind(), there) {
            (EntryKind::Whiteout, _) | (EntryKind::Passage, None) => Ok(None),
            (EntryKind::Directory | EntryKind::Passage, Some(there)) => {
                if entry.is_opaque() {
                    self.tree.clear(there);
                    self.paths.insert(path.to_vec());
                }
                Ok(Some(there))
            }
            (EntryKind::Link(target), _) => {
                let linked = self.tree.resolve_no_follow(target).ok();
                let linked = linked.filter(|inode| self.tree.file_type(*inode) != FileType::Directory);
                let Some(linked) = linked else {
                    let reason = format!("a hardlink to {}, which is no file", target.escape_ascii());
                    let (name, path) = (self.overlay.name.to_string(), path.escape_ascii().to_string());
                    return Err(DeployError::Overlay { name, path, reason });
                };
                self.replace(folder, name, linked, path)?;
                Ok(None)
            }
            (EntryKind::Leaf | EntryKind::Directory, _) => {
                let Some(inode) = entry.inode() else { return Ok(None) };
                let made = self.inode(inode)?;
                self.replace(folder, name, made, path)?;
                Ok((entry.kind() == EntryKind::Directory).then_some(made))
            }
        }
    }

    fn replace(
        &mut self,
        folder: InodeId,
        name: &[u8],
        inode: InodeId,
        path: &[u8],
    ) -> Result<(), DeployError> {
        self.tree.unlink(folder, name);
        self.tree.link(folder, name, inode)?;
        self.paths.insert(path.to_vec());
        Ok(())
    }

    /// The inode for one of the layer's, labels left out.
    fn inode(&mut self, inode: LayerInode<'_>) -> Result<InodeId, DeployError> {
        if let Some(made) = self.made.get(&inode.index()) {
            return Ok(*made);
        }
        let xattrs: Vec<_> = inode.xattrs().filter(|(key, _)| *key != SELINUX_XATTR).collect();
        let set = self.tree.intern_xattrs(&xattrs)?;
        let made = self.tree.add(inode.metadata(), inode.content(), set)?;
        if inode.content() != Content::Directory {
            self.made.insert(inode.index(), made);
        }
        Ok(made)
    }
}
