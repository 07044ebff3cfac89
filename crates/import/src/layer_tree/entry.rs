//! Reading a layer's tree: the entries of a directory in their order, as a merge of sorted layers takes them.

use sealstone_store::tree::{Content, Metadata};

use super::heap::{EncodedXattrs, InodeKind};
use super::{IMPLICIT, LayerTree, Node, NodeKind, OPAQUE, REMOVES_LOWER};

/// What an entry of a layer's tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'t> {
    /// A directory, perhaps an implicit one. It has an inode and children.
    Directory,
    /// A file, symlink, device or pipe. It has an inode, that other entries of the layer may share.
    Leaf,
    /// A hardlink to this path of a lower layer: normalised, relative to the root, not empty.
    Link(&'t [u8]),
    /// What lower layers have of this name is removed; this layer has nothing in its place.
    Whiteout,
    /// A directory that this layer does not have, but whose children it has whiteouts for (and only those, and further
    /// passages, below). Where lower layers have no directory of this name, it means nothing.
    Passage,
}

/// An entry of a layer's tree.
#[derive(Clone, Copy, Debug)]
pub struct LayerEntry<'t> {
    tree: &'t LayerTree,
    index: u32,
}

impl PartialEq for LayerEntry<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.index == other.index
    }
}

impl Eq for LayerEntry<'_> {}

impl<'t> LayerEntry<'t> {
    pub(super) const fn new(tree: &'t LayerTree, index: u32) -> Self {
        Self { tree, index }
    }

    /// The name; the root's is empty.
    #[must_use]
    pub fn name(self) -> &'t [u8] {
        let node = self.node();
        self.tree.heap.get(node.name, usize::from(node.name_len))
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> EntryKind<'t> {
        let node = self.node();
        match node.kind {
            NodeKind::Directory => EntryKind::Directory,
            NodeKind::Leaf => EntryKind::Leaf,
            NodeKind::Link => EntryKind::Link(self.tree.heap.get_counted(node.data)),
            NodeKind::Whiteout => EntryKind::Whiteout,
            NodeKind::Passage => EntryKind::Passage,
        }
    }

    /// Whether this is a directory that no tar entry describes: what a lower layer's directory says of itself counts,
    /// and only where there is none, this inode (0755, 0:0, mtime 0).
    #[must_use]
    pub fn is_implicit(self) -> bool {
        self.node().flags & IMPLICIT != 0
    }

    /// Whether nothing that lower layers have in this directory (or passage) is seen. The directory's own metadata, if
    /// implicit, still comes from below, unless [`removes_lower`](Self::removes_lower).
    #[must_use]
    pub fn is_opaque(self) -> bool {
        self.node().flags & (OPAQUE | REMOVES_LOWER) != 0
    }

    /// Whether the layer removes what lower layers have of this name, before anything of its own: a whiteout, alone or
    /// beside an entry.
    #[must_use]
    pub fn removes_lower(self) -> bool {
        let node = self.node();
        node.kind == NodeKind::Whiteout || node.flags & REMOVES_LOWER != 0
    }

    /// The inode of a directory or a leaf.
    #[must_use]
    pub fn inode(self) -> Option<LayerInode<'t>> {
        let node = self.node();
        let has_inode = matches!(node.kind, NodeKind::Directory | NodeKind::Leaf);
        has_inode.then_some(LayerInode { tree: self.tree, index: node.data })
    }

    /// The entries of a directory or a passage, sorted bytewise; none of anything else. Each costs the same, however
    /// much is below it.
    #[must_use = "iterators are lazy"]
    pub fn children(self) -> Children<'t> {
        Children { tree: self.tree, next: self.index + 1, end: self.node().end }
    }

    /// How many entries are below, at any depth.
    #[must_use]
    pub fn descendants(self) -> usize {
        (self.node().end - self.index - 1) as usize
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "only the tree's own walk makes indexes, and decoding checked them"
    )]
    fn node(self) -> &'t Node {
        &self.tree.nodes[self.index as usize]
    }
}

/// The entries of a directory: see [`LayerEntry::children`].
#[derive(Clone, Debug)]
pub struct Children<'t> {
    tree: &'t LayerTree,
    next: u32,
    end: u32,
}

impl<'t> Iterator for Children<'t> {
    type Item = LayerEntry<'t>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let entry = LayerEntry::new(self.tree, self.next);
        self.next = entry.node().end;
        Some(entry)
    }
}

/// An inode of a layer's tree. Entries that share one are hardlinks of each other.
#[derive(Clone, Copy, Debug)]
pub struct LayerInode<'t> {
    tree: &'t LayerTree,
    index: u32,
}

impl<'t> LayerInode<'t> {
    /// The inode's number, below [`LayerTree::inode_count`], in the order of each inode's first entry.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Permissions, owner and modification time.
    #[must_use]
    pub fn metadata(self) -> Metadata {
        self.inode().metadata()
    }

    /// The content.
    #[must_use]
    pub fn content(self) -> Content<'t> {
        let (inode, heap) = (self.inode(), &self.tree.heap);
        let bytes = || heap.get(inode.data, usize::try_from(inode.size).unwrap_or(usize::MAX));
        match inode.kind {
            InodeKind::Directory => Content::Directory,
            // Only builders have unresolved ones.
            InodeKind::Inline | InodeKind::Unresolved => Content::Inline(bytes()),
            InodeKind::External => match heap.object(self.tree.algorithm, inode.data) {
                Some(object) => Content::External { object, size: inode.size },
                None => unreachable!("finishing and decoding check each digest's index"),
            },
            InodeKind::Symlink => Content::Symlink(bytes()),
            InodeKind::CharDevice => Content::CharDevice(inode.data),
            InodeKind::BlockDevice => Content::BlockDevice(inode.data),
            InodeKind::Fifo => Content::Fifo,
        }
    }

    /// Extended attributes, sorted bytewise by name, none filtered.
    #[must_use = "iterators are lazy"]
    pub fn xattrs(self) -> impl Iterator<Item = (&'t [u8], &'t [u8])> + Clone {
        let start = self.inode().xattrs.checked_sub(1);
        let bytes = start.and_then(|start| self.tree.heap.bytes.get(start as usize..));
        EncodedXattrs::new(bytes.unwrap_or_default())
    }

    /// Equal for inodes of one tree with equal attributes (but not different for all others); `None` without any. Spares
    /// a merge reading the same label for each file.
    #[must_use]
    pub fn xattrs_key(self) -> Option<u32> {
        self.inode().xattrs.checked_sub(1)
    }

    #[expect(clippy::indexing_slicing, reason = "nodes point to inodes: finishing and decoding check that")]
    fn inode(self) -> &'t super::Inode {
        &self.tree.inodes[self.index as usize]
    }
}
