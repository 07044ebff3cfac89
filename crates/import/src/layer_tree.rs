//! The tree of one layer: what its tar makes, free of what is below it.
//!
//! What lives here: [`LayerTreeBuilder`], fed the entries of a tar; [`LayerTree`], their tree in preorder, which a merge
//! walks and the store keeps beside the splitstream; its encoding. What does not: parsing tars, other layers. Whiteouts
//! and hardlinks into lower layers stay what they are until the merge.
//!
//! Invariants: children are sorted bytewise and unique; a tree depends on the tar alone, and equal trees have equal
//! encodings; decoding never trusts its input.
//!
//! Rules: OCI image-spec, "Image Layer Filesystem Changeset"; what it leaves open, as `docs/format.md` says.

mod arena;
mod builder;
mod decode;
mod encode;
mod entry;
mod finish;
mod heap;
mod lookup;
mod walk;
mod whiteout;

use sealstone_store::{Algorithm, ObjectId};

pub use builder::{FileContent, FileSlot, LayerTreeBuilder};
pub use decode::RecordError;
pub use entry::{Children, EntryKind, LayerEntry, LayerInode};

use heap::{Heap, Inode, InodeKind};

/// What a node of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum NodeKind {
    Directory = 1,
    /// Everything else that has an inode.
    Leaf = 2,
    /// A hardlink to a path of a lower layer.
    Link = 3,
    /// Nothing but a whiteout.
    Whiteout = 4,
    /// A directory that this layer does not have, with whiteouts below.
    Passage = 5,
}

/// The layer has children of the directory, but no entry for itself.
const IMPLICIT: u8 = 1;
/// What lower layers have in the directory is hidden.
const OPAQUE: u8 = 2;
/// A whiteout removes what lower layers have of this name; what the layer itself has stays.
const REMOVES_LOWER: u8 = 4;

/// A node, in preorder: its subtree is all nodes up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// Where its name starts in the heap.
    name: u32,
    /// The index of the first node after its subtree.
    end: u32,
    /// Directories and leaves: the inode. Links: where the target starts in the heap, after its length in two bytes.
    data: u32,
    name_len: u8,
    kind: NodeKind,
    flags: u8,
}

/// The tree of one layer, in preorder, children sorted bytewise.
///
/// ```
/// use sealstone_import::layer_tree::{EntryKind, FileContent, LayerTreeBuilder};
/// use sealstone_import::tar::{Item, Reader};
/// # let mut tar = tar::Builder::new(Vec::new());
/// # for (path, body) in [("etc/motd", &b"hello"[..]), ("etc/.wh.issue", b"")] {
/// #     let mut header = tar::Header::new_ustar();
/// #     header.set_size(body.len() as u64);
/// #     header.set_mode(0o644);
/// #     tar.append_data(&mut header, path, body).unwrap();
/// # }
/// # let bytes = tar.into_inner().unwrap();
/// let mut reader = Reader::new(Default::default(), Default::default());
/// let mut builder = LayerTreeBuilder::new(Default::default(), Default::default(), Default::default());
/// let mut input = &bytes[..];
/// while reader.next(&mut input)?.item == Item::Entry {
///     let slot = builder.add(reader.entry())?;
///     let body = reader.take_body(&mut input).expect("all of the tar is here");
///     if let Some(slot) = slot {
///         builder.set_content(slot, FileContent::Inline(body))?;
///     }
/// }
/// let (tree, _warnings) = builder.finish()?;
/// let etc = tree.root().children().next().expect("an implicit directory");
/// assert!(etc.is_implicit());
/// let kinds: Vec<_> = etc.children().map(|entry| (entry.name(), entry.kind())).collect();
/// assert_eq!(kinds, [(&b"issue"[..], EntryKind::Whiteout), (b"motd", EntryKind::Leaf)]);
/// # Ok::<(), sealstone_import::tar::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerTree {
    algorithm: Algorithm,
    /// In preorder; the first is the root.
    nodes: Vec<Node>,
    /// In the order of the first node of each.
    inodes: Vec<Inode>,
    heap: Heap,
}

impl LayerTree {
    /// The algorithm of the objects that the tree names.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The root directory.
    #[must_use]
    pub const fn root(&self) -> LayerEntry<'_> {
        LayerEntry::new(self, 0)
    }

    /// How many nodes there are: files, directories (implicit ones and the root included), links and whiteouts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// How many inodes there are: as nodes, without links into lower layers and whiteouts, hardlinked files once.
    /// [`LayerInode::index`] is below.
    #[must_use]
    pub fn inode_count(&self) -> usize {
        self.inodes.len()
    }

    /// The objects that files of this layer are, in preorder; one may come several times.
    #[must_use = "iterators are lazy"]
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let files = self.inodes.iter().filter(|inode| inode.kind == InodeKind::External);
        files.filter_map(|inode| self.heap.object(self.algorithm, inode.data))
    }
}
