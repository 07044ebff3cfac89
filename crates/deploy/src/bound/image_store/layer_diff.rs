//! What one layer changes, as the folder that overlayfs lays over those below.
//!
//! What lives here: from a layer's record to a tree with overlayfs' own marks: a whiteout is a character device 0:0, a
//! folder that hides what is below has `trusted.overlay.opaque` (Documentation/filesystems/overlayfs.rst). What does not:
//! writing it. Every name that the layer has is as the merge of it with all below shows it, so folders that the layer only
//! passes through keep their attributes, and links into lower layers are files.

use std::collections::HashMap;

use sealstone_import::layer_tree::{EntryKind, LayerEntry, LayerTree};
use sealstone_store::tree::{Content, FileType, InodeId, Metadata, Timestamp, Tree, TreeError, XattrSet};

const OPAQUE: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");

/// What a whiteout's inode is like; nobody sees it.
const WHITEOUT: Metadata = Metadata { mode: 0, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };

/// The tree of a layer's folder. `merged` is the layer with all below; without lower ones nothing has to be hidden.
pub(super) fn layer_diff(layer: &LayerTree, merged: &Tree, has_lower: bool) -> Result<Tree, TreeError> {
    let mut diff =
        Diff { merged, tree: Tree::new(merged.metadata(merged.root())), inodes: HashMap::new(), has_lower };
    let xattrs = diff.xattrs(merged.root(), layer.root().is_opaque())?;
    diff.tree.set_xattrs(diff.tree.root(), xattrs);
    // Folders of the layer with their two counterparts, in the merge and in the result.
    let mut open = vec![(layer.root(), merged.root(), diff.tree.root())];
    while let Some((folder, shown, made)) = open.pop() {
        for entry in folder.children() {
            let inode = merged.lookup(shown, entry.name());
            if let Some((inode, child)) = diff.place(entry, inode, made)? {
                open.push((entry, inode, child));
            }
        }
    }
    Ok(diff.tree)
}

struct Diff<'a> {
    merged: &'a Tree,
    tree: Tree,
    /// Of the merge's files, those made already: names of one inode stay so.
    inodes: HashMap<InodeId, InodeId>,
    has_lower: bool,
}

impl Diff<'_> {
    /// Puts an entry into a folder; gives its two counterparts if it is a folder itself.
    fn place(
        &mut self,
        entry: LayerEntry<'_>,
        shown: Option<InodeId>,
        folder: InodeId,
    ) -> Result<Option<(InodeId, InodeId)>, TreeError> {
        let is_folder = matches!(entry.kind(), EntryKind::Directory | EntryKind::Passage);
        let Some(shown) = shown else {
            if entry.kind() == EntryKind::Whiteout && self.has_lower {
                let whiteout = self.tree.add(WHITEOUT, Content::CharDevice(0), XattrSet::EMPTY)?;
                self.tree.link(folder, entry.name(), whiteout)?;
            }
            return Ok(None);
        };
        if self.merged.file_type(shown) == FileType::Directory {
            if !is_folder {
                return Ok(None);
            }
            let xattrs = self.xattrs(shown, entry.is_opaque())?;
            let made = self.tree.add(self.merged.metadata(shown), Content::Directory, xattrs)?;
            self.tree.link(folder, entry.name(), made)?;
            return Ok(Some((shown, made)));
        }
        if let Some(made) = self.inodes.get(&shown) {
            self.tree.link(folder, entry.name(), *made)?;
            return Ok(None);
        }
        let xattrs = self.xattrs(shown, false)?;
        let made = self.tree.add(self.merged.metadata(shown), self.merged.content(shown), xattrs)?;
        self.tree.link(folder, entry.name(), made)?;
        self.inodes.insert(shown, made);
        Ok(None)
    }

    fn xattrs(&mut self, shown: InodeId, is_opaque: bool) -> Result<XattrSet, TreeError> {
        let opaque = (is_opaque && self.has_lower).then_some(OPAQUE);
        let all: Vec<_> = self.merged.xattrs(shown).chain(opaque).collect();
        self.tree.intern_xattrs(&all)
    }
}
