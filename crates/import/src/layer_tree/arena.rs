//! The tree under construction: nodes in the order they came, found by parent and name.

use std::hash::{BuildHasher, RandomState};

use sealstone_store::tree::{Metadata, Timestamp};

use super::heap::{Heap, Inode, InodeKind};
use super::lookup::Lookup;
use super::whiteout::is_reserved;
use super::{IMPLICIT, NodeKind};
use crate::Limits;
use crate::tar::Reason;

/// The root's node.
pub(super) const ROOT: u32 = 0;

/// What a directory is that no entry describes.
pub(super) const IMPLICIT_METADATA: Metadata =
    Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };

/// A node under construction. Nodes that were replaced stay, unreachable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) name: u32,
    pub(super) parent: u32,
    /// As in a finished node.
    pub(super) data: u32,
    pub(super) depth: u16,
    pub(super) name_len: u8,
    pub(super) kind: NodeKind,
    pub(super) flags: u8,
    /// Something else has its name now.
    pub(super) is_dead: bool,
}

/// A name that no node has yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeName<'n> {
    parent: u32,
    name: &'n [u8],
    hash: u32,
}

/// Nodes, inodes and bytes of the tree under construction.
#[derive(Debug)]
pub(super) struct Arena {
    pub(super) nodes: Vec<Work>,
    pub(super) inodes: Vec<Inode>,
    pub(super) heap: Heap,
    lookup: Lookup,
    /// Keyed at random: a layer cannot choose names that collide.
    hasher: RandomState,
}

impl Arena {
    /// A tree with an implicit root.
    pub(super) fn new() -> Self {
        let root = Work {
            name: 0,
            parent: ROOT,
            data: 0,
            depth: 0,
            name_len: 0,
            kind: NodeKind::Directory,
            flags: IMPLICIT,
            is_dead: false,
        };
        Self {
            nodes: vec![root],
            inodes: vec![Inode::new(InodeKind::Directory, IMPLICIT_METADATA)],
            heap: Heap::default(),
            lookup: Lookup::default(),
            hasher: RandomState::new(),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "only this arena makes node numbers")]
    pub(super) fn node(&self, node: u32) -> &Work {
        &self.nodes[node as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "only this arena makes node numbers")]
    pub(super) fn node_mut(&mut self, node: u32) -> &mut Work {
        &mut self.nodes[node as usize]
    }

    /// The inode of a directory or a leaf.
    #[expect(clippy::indexing_slicing, reason = "only this arena makes inode numbers")]
    pub(super) fn inode(&self, node: u32) -> &Inode {
        &self.inodes[self.node(node).data as usize]
    }

    pub(super) fn name(&self, node: &Work) -> &[u8] {
        self.heap.get(node.name, usize::from(node.name_len))
    }

    /// The target of a symlink; `None` for anything else.
    pub(super) fn symlink(&self, node: u32) -> Option<&[u8]> {
        if self.node(node).kind != NodeKind::Leaf {
            return None;
        }
        let inode = self.inode(node);
        let len = usize::try_from(inode.size).unwrap_or(usize::MAX);
        (inode.kind == InodeKind::Symlink).then(|| self.heap.get(inode.data, len))
    }

    /// The living node of this name.
    pub(super) fn child(&self, parent: u32, name: &[u8]) -> Option<u32> {
        self.find(parent, name).ok()
    }

    /// The living node of this name, or the name as a free one.
    pub(super) fn find<'n>(&self, parent: u32, name: &'n [u8]) -> Result<u32, FreeName<'n>> {
        let hash = self.hash(parent, name);
        let found = self.lookup.find(hash, |node| {
            let node = self.node(node);
            node.parent == parent && self.name(node) == name
        });
        found.ok_or(FreeName { parent, name, hash })
    }

    /// Adds an inode.
    pub(super) fn add_inode(&mut self, inode: Inode) -> Result<u32, Reason> {
        let number = u32::try_from(self.inodes.len());
        self.inodes.push(inode);
        number.map_err(|_| Reason::TooBig { what: "inodes", limit: u64::from(u32::MAX) })
    }

    /// Adds a node.
    pub(super) fn add_node(
        &mut self,
        name: FreeName<'_>,
        kind: NodeKind,
        data: u32,
        limits: &Limits,
    ) -> Result<u32, Reason> {
        let number = self.new_node(name.parent, name.name, kind, data, limits)?;
        self.lookup.insert(name.hash, number);
        Ok(number)
    }

    /// Adds a node in the place of another one, which dies with all below it.
    pub(super) fn replace_node(
        &mut self,
        old: u32,
        kind: NodeKind,
        data: u32,
        limits: &Limits,
    ) -> Result<u32, Reason> {
        let work = *self.node(old);
        let name = self.name(&work).to_vec();
        let number = self.new_node(work.parent, &name, kind, data, limits)?;
        self.lookup.replace(self.hash(work.parent, &name), old, number);
        self.node_mut(old).is_dead = true;
        Ok(number)
    }

    /// Adds a directory that has no entry of its own.
    pub(super) fn add_implicit(&mut self, name: FreeName<'_>, limits: &Limits) -> Result<u32, Reason> {
        let inode = self.add_inode(Inode::new(InodeKind::Directory, IMPLICIT_METADATA))?;
        let node = self.add_node(name, NodeKind::Directory, inode, limits)?;
        self.node_mut(node).flags = IMPLICIT;
        Ok(node)
    }

    /// The heap memory held, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Work>()
            + self.inodes.capacity() * size_of::<Inode>()
            + self.heap.bytes.capacity()
            + self.heap.digests.capacity()
            + self.lookup.memory()
    }

    fn new_node(
        &mut self,
        parent: u32,
        name: &[u8],
        kind: NodeKind,
        data: u32,
        limits: &Limits,
    ) -> Result<u32, Reason> {
        let too_big = |what, limit| Reason::TooBig { what, limit };
        if is_reserved(name) {
            return Err(Reason::Whiteout("has entries below it"));
        }
        let number = u32::try_from(self.nodes.len()).ok().filter(|number| *number <= limits.entries);
        let number = number.ok_or_else(|| too_big("entries in a layer's tree", u64::from(limits.entries)))?;
        let depth = self.node(parent).depth.checked_add(1);
        let depth = depth.filter(|depth| usize::from(*depth) <= limits.path_depth);
        let name_len = u8::try_from(name.len());
        self.nodes.push(Work {
            name: self.heap.keep(name, limits.tree_heap_bytes)?,
            parent,
            data,
            depth: depth.ok_or_else(|| too_big("components in a path", limits.path_depth as u64))?,
            name_len: name_len.map_err(|_| too_big("bytes in a path component", u64::from(u8::MAX)))?,
            kind,
            flags: 0,
            is_dead: false,
        });
        Ok(number)
    }

    fn hash(&self, parent: u32, name: &[u8]) -> u32 {
        let hash = self.hasher.hash_one((parent, name));
        // Both halves are equally good.
        u32::try_from(hash >> 32).unwrap_or(0)
    }
}
