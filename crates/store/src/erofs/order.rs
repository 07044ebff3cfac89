//! The order of inodes in an image: breadth first (V1) or depth first (V2), children bytewise, a file with several names
//! where a depth-first walk meets it first.
//!
//! What lives here: the numbering, the 256 whiteouts that every root gets in V1, and a directory's entries as stored (with
//! `.`, `..` and those whiteouts). What does not: sizes and offsets. V1's order is that of C `mkcomposefs` fed with a
//! dump, whose first line for a file is the file and whose later ones are links.

use std::collections::VecDeque;

use super::version::Version;
use crate::{
    Algorithm,
    tree::{FileType, InodeId, Metadata, Tree},
};

/// No node, no set, no object.
pub(super) const NONE: u32 = u32::MAX;

/// The names that the root of a data layer has, `00` to `ff`: stubs, which are whiteouts, hide them.
static STUB_NAMES: [[u8; 2]; 256] = stub_names();

/// An inode of the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The file; none for a stub.
    pub(super) inode: Option<InodeId>,
    /// Its attributes: an index of [`Sharing`](super::sharing::Sharing)'s sets.
    pub(super) set: u32,
    /// An index of the objects that several inodes have, or [`NONE`].
    pub(super) object: u32,
}

/// A directory of the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) inode: InodeId,
    /// Itself and its parent, as nodes.
    pub(super) node: u32,
    parent: u32,
    /// Whether a whiteout is in it.
    pub(super) has_whiteout: bool,
}

/// What a directory entry leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Child {
    File(InodeId),
    /// `.` or `..`, with the node.
    Dot(u32),
    Stub(u8),
}

/// All inodes of an image.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) tree: &'a Tree,
    pub(super) version: Version,
    pub(super) nodes: Vec<Node>,
    /// In the order of their nodes.
    pub(super) directories: Vec<Directory>,
    /// How many names each file has, by [`InodeId::index`].
    links: Vec<u32>,
    /// The node of each file, by the same.
    node_of: Vec<u32>,
    /// The node of each stub; [`NONE`] where the root has an entry of the name.
    stubs: [u32; 256],
}

impl<'a> Order<'a> {
    pub(super) fn new(tree: &'a Tree, version: Version) -> Self {
        let (links, first_directory) = first_names(tree);
        let mut order = Self {
            tree,
            version,
            nodes: Vec::with_capacity(tree.inode_count() + STUB_NAMES.len()),
            directories: Vec::new(),
            links,
            node_of: vec![NONE; tree.inode_count()],
            stubs: [NONE; 256],
        };
        match version {
            Version::V1 => order.number_by_breadth(&first_directory),
            Version::V2 => order.number_by_depth(),
        }
        order
    }

    /// Appends a node for every file, each directory's before the next name beside it.
    fn number_by_depth(&mut self) {
        let root = self.tree.root();
        let node = self.push(Some(root));
        self.directories.push(Directory { inode: root, node, parent: node, has_whiteout: false });
        let mut open = vec![(node, self.tree.entries(root))];
        while let Some((parent, entries)) = open.last_mut() {
            let parent = *parent;
            let Some((_, inode)) = entries.next() else {
                open.pop();
                continue;
            };
            if self.tree.file_type(inode) == FileType::Directory {
                let node = self.push(Some(inode));
                self.directories.push(Directory { inode, node, parent, has_whiteout: false });
                open.push((node, self.tree.entries(inode)));
            } else if self.node_of(inode) == NONE {
                self.push(Some(inode));
            }
        }
    }

    /// Appends a node for every file and stub, directory by directory.
    fn number_by_breadth(&mut self, first_directory: &[InodeId]) {
        let mut entries = Vec::new();
        let mut queue = VecDeque::new();
        let root = self.tree.root();
        let node = self.push(Some(root));
        queue.push_back(Directory { inode: root, node, parent: node, has_whiteout: false });
        while let Some(mut directory) = queue.pop_front() {
            self.entries(&directory, &mut entries);
            for (_, child) in &entries {
                match *child {
                    Child::Dot(_) => {}
                    Child::Stub(stub) => {
                        let node = self.push(None);
                        if let Some(place) = self.stubs.get_mut(usize::from(stub)) {
                            *place = node;
                        }
                    }
                    Child::File(inode) if self.tree.file_type(inode) == FileType::Directory => {
                        let (node, parent) = (self.push(Some(inode)), directory.node);
                        queue.push_back(Directory { inode, node, parent, has_whiteout: false });
                    }
                    Child::File(inode) => {
                        let is_first = first_directory.get(inode.index()) == Some(&directory.inode);
                        if is_first && self.node_of(inode) == NONE {
                            self.push(Some(inode));
                            directory.has_whiteout |= self.tree.is_whiteout(inode);
                        }
                    }
                }
            }
            self.directories.push(directory);
        }
    }

    fn push(&mut self, inode: Option<InodeId>) -> u32 {
        // A tree counts below u32::MAX inodes and is far smaller in memory; 256 stubs do not overflow it.
        let number = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node { inode, set: NONE, object: NONE });
        if let Some(node_of) = inode.and_then(|inode| self.node_of.get_mut(inode.index())) {
            *node_of = number;
        }
        number
    }

    fn node_of(&self, inode: InodeId) -> u32 {
        self.node_of.get(inode.index()).copied().unwrap_or(NONE)
    }

    /// How many names a file has.
    pub(super) fn links(&self, inode: InodeId) -> u32 {
        self.links.get(inode.index()).copied().unwrap_or_default()
    }

    /// The type under which a file is stored: a whiteout of the tree is an empty regular file in V1, itself in V2.
    fn stored_type(&self, inode: InodeId) -> FileType {
        match self.version {
            Version::V1 if self.tree.is_whiteout(inode) => FileType::Regular,
            _ => self.tree.file_type(inode),
        }
    }

    /// The type of a node.
    pub(super) fn file_type(&self, node: &Node) -> FileType {
        node.inode.map_or(FileType::CharDevice, |inode| self.stored_type(inode))
    }

    /// Mode, owner and time of a node. Stubs have the root's owner and time.
    pub(super) fn metadata(&self, node: &Node) -> Metadata {
        match node.inode {
            Some(inode) => self.tree.metadata(inode),
            None => Metadata { mode: 0o644, ..self.tree.metadata(self.tree.root()) },
        }
    }

    /// The algorithm of the object that a file's content is.
    pub(super) fn object(&self, inode: InodeId) -> Option<Algorithm> {
        let (algorithm, _) = self.tree.digest(inode)?;
        needs_object(self.version, self.tree.size(inode)).then_some(algorithm)
    }

    /// All nodes in order, each directory with its number among the directories.
    pub(super) fn walk(&self) -> impl Iterator<Item = (&Node, Option<usize>)> {
        let mut directories = 0..;
        self.nodes.iter().map(move |node| {
            let is_directory = self.file_type(node) == FileType::Directory;
            (node, if is_directory { directories.next() } else { None })
        })
    }

    /// The number of the node that an entry leads to.
    pub(super) fn node(&self, child: Child) -> u32 {
        match child {
            Child::File(inode) => self.node_of(inode),
            Child::Dot(node) => node,
            Child::Stub(stub) => self.stubs.get(usize::from(stub)).copied().unwrap_or(NONE),
        }
    }

    /// The type that an entry shows.
    pub(super) fn child_type(&self, child: Child) -> FileType {
        match child {
            Child::File(inode) => self.stored_type(inode),
            Child::Dot(_) => FileType::Directory,
            Child::Stub(_) => FileType::CharDevice,
        }
    }

    /// Fills `entries` with a directory's entries as stored: all sorted bytewise, the dots too.
    pub(super) fn entries(&self, directory: &Directory, entries: &mut Vec<(&'a [u8], Child)>) {
        entries.clear();
        let mut files = self.tree.entries(directory.inode).peekable();
        for (dot, node) in [(&b"."[..], directory.node), (b"..", directory.parent)] {
            while let Some((name, inode)) = files.next_if(|(name, _)| *name < dot) {
                entries.push((name, Child::File(inode)));
            }
            entries.push((dot, Child::Dot(node)));
        }
        entries.extend(files.map(|(name, inode)| (name, Child::File(inode))));
        if self.version == Version::V1 && directory.inode == self.tree.root() {
            let is_missing = |name: &[u8; 2]| self.tree.lookup(directory.inode, name).is_none();
            let stubs = (0..=u8::MAX).zip(&STUB_NAMES).filter(|(_, name)| is_missing(name));
            entries.extend(stubs.map(|(stub, name)| (&name[..], Child::Stub(stub))));
            entries.sort_unstable_by_key(|(name, _)| *name);
        }
    }
}

/// Whether an external file of so many bytes has an object in the image. An empty file needs none (V1, as in C).
pub(super) const fn needs_object(version: Version, size: u64) -> bool {
    size > 0 || matches!(version, Version::V2)
}

/// For each inode, how many names it has and which directory has the first that a depth-first walk meets.
fn first_names(tree: &Tree) -> (Vec<u32>, Vec<InodeId>) {
    let mut links = vec![0_u32; tree.inode_count()];
    let mut first_directory = vec![tree.root(); tree.inode_count()];
    let mut open = vec![(tree.root(), tree.entries(tree.root()))];
    while let Some((directory, entries)) = open.last_mut() {
        let Some((_, inode)) = entries.next() else {
            open.pop();
            continue;
        };
        if let (Some(links), Some(first)) =
            (links.get_mut(inode.index()), first_directory.get_mut(inode.index()))
        {
            if *links == 0 {
                *first = *directory;
            }
            *links = links.saturating_add(1);
        }
        if tree.file_type(inode) == FileType::Directory {
            open.push((inode, tree.entries(inode)));
        }
    }
    (links, first_directory)
}

const fn stub_names() -> [[u8; 2]; 256] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    let mut names = [[0; 2]; 256];
    let mut stub = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a u8 is an index of 256 names")]
        {
            names[stub as usize] = [digit(stub >> 4), digit(stub & 15)];
        }
        if stub == u8::MAX {
            return names;
        }
        stub += 1;
    }
}
