//! Building a layer's tree from the entries of its tar, in their order.

use sealstone_store::{Algorithm, ObjectId};

use super::arena::{Arena, FreeName, ROOT};
use super::heap::{Inode, InodeKind, XattrIndex};
use super::walk::{Absent, End, Trail, Walk};
use super::whiteout::{Name, classify, split};
use super::{IMPLICIT, LayerTree, NodeKind};
use crate::Limits;
use crate::tar::{Entry, Kind, Normalisation, Reason, Refusal, Strictness, Warning, Warnings};

/// A file that waits for its content: see [`LayerTreeBuilder::set_content`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a file without content makes the layer fail"]
pub struct FileSlot(u32);

/// The content of a file, sparse ones expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent<'a> {
    /// The bytes: for files of up to [`INLINE_MAX`](sealstone_store::tree::INLINE_MAX) bytes.
    Inline(&'a [u8]),
    /// An object.
    Object {
        /// Its id.
        id: ObjectId,
        /// Its size in bytes.
        size: u64,
    },
}

/// Builds a [`LayerTree`]. Some 130 bytes an entry while building.
#[derive(Debug)]
pub struct LayerTreeBuilder {
    pub(super) arena: Arena,
    pub(super) algorithm: Algorithm,
    pub(super) limits: Limits,
    pub(super) whiteouts: Vec<PendingWhiteout>,
    pub(super) links: Vec<u32>,
    pub(super) warnings: Warnings,
    xattrs: XattrIndex,
    trail: Trail,
}

/// A whiteout: set apart, since it hides what lower layers have and never what this one has, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingWhiteout {
    /// The directory's path and the name, counted in the heap. Opaque directories have no name.
    pub(super) directory: u32,
    pub(super) name: u32,
    pub(super) is_opaque: bool,
}

impl LayerTreeBuilder {
    /// A builder for a layer whose objects have ids of this algorithm.
    #[must_use]
    pub fn new(algorithm: Algorithm, limits: Limits, strictness: Strictness) -> Self {
        Self {
            arena: Arena::new(),
            algorithm,
            whiteouts: Vec::new(),
            links: Vec::new(),
            warnings: Warnings::new(&limits, strictness),
            limits,
            xattrs: XattrIndex::default(),
            trail: Trail::default(),
        }
    }

    /// Adds an entry. A file answers with its slot: its content may come any time before [`finish`](Self::finish).
    /// Whiteouts and AUFS bookkeeping have no slot, whatever body they have.
    ///
    /// # Errors
    /// When the layer is refused.
    pub fn add(&mut self, entry: &Entry) -> Result<Option<FileSlot>, Refusal> {
        self.place(entry).map_err(|reason| Refusal::new(reason, entry.path(), entry.offset()))
    }

    /// Gives a file its content.
    ///
    /// # Errors
    /// [`Reason::Content`] when the slot is another builder's or the object's algorithm not the builder's;
    /// [`Reason::TooBig`] past the bound for the heap.
    pub fn set_content(&mut self, slot: FileSlot, content: FileContent<'_>) -> Result<(), Refusal> {
        self.fill(slot, content).map_err(|reason| Refusal::new(reason, &[], 0))
    }

    /// Ends the layer: sorts it, applies its whiteouts, checks its links.
    ///
    /// # Errors
    /// When a hardlink's target comes later in the layer, is a directory or hidden by a whiteout, or when a file was
    /// never given its content.
    pub fn finish(self) -> Result<(LayerTree, Warnings), Refusal> {
        super::finish::finish(self)
    }

    /// The heap memory held, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.arena.memory()
            + self.whiteouts.capacity() * size_of::<PendingWhiteout>()
            + self.links.capacity() * size_of::<u32>()
    }

    fn fill(&mut self, slot: FileSlot, content: FileContent<'_>) -> Result<(), Reason> {
        let heap = &mut self.arena.heap;
        let (kind, size, data) = match content {
            FileContent::Inline(bytes) => {
                let start = heap.keep(bytes, self.limits.tree_heap_bytes)?;
                (InodeKind::Inline, bytes.len() as u64, start)
            }
            FileContent::Object { id, size } => {
                if id.algorithm() != self.algorithm {
                    return Err(Reason::Content("is an object of another algorithm"));
                }
                // As many digests as inodes at most, which are counted in 32 bits.
                let index = u32::try_from(heap.digests.len() / id.as_bytes().len()).unwrap_or(u32::MAX);
                heap.digests.extend_from_slice(id.as_bytes());
                (InodeKind::External, size, index)
            }
        };
        let inode = self.arena.inodes.get_mut(slot.0 as usize);
        let inode = inode.filter(|inode| inode.kind == InodeKind::Unresolved);
        let inode = inode.ok_or(Reason::Content("is given twice, or to no file"))?;
        (inode.kind, inode.size, inode.data) = (kind, size, data);
        Ok(())
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<FileSlot>, Reason> {
        match classify(entry.path())? {
            Name::Plain => {}
            Name::Aufs => {
                self.warnings.note(Normalisation::Aufs, entry.path());
                return Ok(None);
            }
            Name::Whiteout(directory, name) => return self.whiteout(entry, directory, name, false),
            Name::Opaque(directory) => return self.whiteout(entry, directory, &[], true),
        }
        if entry.path().is_empty() {
            return self.place_root(entry).map(|()| None);
        }
        if entry.kind() == Kind::Hardlink {
            return self.place_hardlink(entry).map(|()| None);
        }
        let (directory, name) = split(entry.path());
        let parent = self.parent(directory)?;
        let place = self.arena.find(parent, name);
        let is_directory = entry.kind() == Kind::Directory;
        if let Ok(old) = place
            && is_directory
            && self.arena.node(old).kind == NodeKind::Directory
        {
            return self.replace_directory(entry, old).map(|()| None);
        }
        let inode = self.add_inode(entry)?;
        let kind = if is_directory { NodeKind::Directory } else { NodeKind::Leaf };
        self.put(entry, place, kind, inode)?;
        Ok((entry.kind() == Kind::File).then_some(FileSlot(inode)))
    }

    fn place_root(&mut self, entry: &Entry) -> Result<(), Reason> {
        if entry.kind() != Kind::Directory {
            return Err(Reason::Root);
        }
        self.replace_directory(entry, ROOT)
    }

    fn whiteout(
        &mut self,
        entry: &Entry,
        directory: &[u8],
        name: &[u8],
        is_opaque: bool,
    ) -> Result<Option<FileSlot>, Reason> {
        if entry.kind() != Kind::File || entry.size() != 0 {
            self.warnings.add(Warning::OddWhiteout { path: entry.path().into() })?;
        }
        let limit = self.limits.tree_heap_bytes;
        let directory = self.arena.heap.keep_counted(directory, limit)?;
        let name = self.arena.heap.keep_counted(name, limit)?;
        self.whiteouts.push(PendingWhiteout { directory, name, is_opaque });
        Ok(None)
    }

    fn add_inode(&mut self, entry: &Entry) -> Result<u32, Reason> {
        let limit = self.limits.tree_heap_bytes;
        let (kind, data, size) = match entry.kind() {
            Kind::Directory => (InodeKind::Directory, 0, 0),
            Kind::File => (InodeKind::Unresolved, 0, 0),
            Kind::CharDevice(device) => (InodeKind::CharDevice, device.number(), 0),
            Kind::BlockDevice(device) => (InodeKind::BlockDevice, device.number(), 0),
            Kind::Fifo => (InodeKind::Fifo, 0, 0),
            Kind::Symlink | Kind::Hardlink => {
                let target = entry.link_target();
                (InodeKind::Symlink, self.arena.heap.keep(target, limit)?, target.len() as u64)
            }
        };
        let xattrs = self.xattrs.keep(entry.xattrs(), &mut self.arena.heap, limit)?;
        self.arena.add_inode(Inode { size, data, xattrs, ..Inode::new(kind, entry.metadata()) })
    }

    /// The directory of this path, made if need be.
    fn parent(&mut self, path: &[u8]) -> Result<u32, Reason> {
        let end = self.trail.directory(&mut self.arena, path, &self.limits);
        match end {
            Ok(End::At(directory)) => {
                if self.trail.is_followed() {
                    self.warnings.note(Normalisation::FollowedSymlink, path);
                }
                Ok(directory)
            }
            other => {
                self.trail.clear();
                other.and(Err(Reason::Parent(path.into())))
            }
        }
    }

    /// Gives a name to what it names from now on: not a directory to a directory, which would lose its children.
    fn put(
        &mut self,
        entry: &Entry,
        place: Result<u32, FreeName<'_>>,
        kind: NodeKind,
        data: u32,
    ) -> Result<u32, Reason> {
        let old = match place {
            Ok(old) => old,
            Err(name) => return self.arena.add_node(name, kind, data, &self.limits),
        };
        let path = || entry.path().into();
        self.warnings.add(match self.arena.node(old).kind {
            NodeKind::Directory => Warning::ReplacedDirectory { path: path() },
            _ => Warning::DuplicatePath { path: path() },
        })?;
        // Paths may have led through the old node.
        self.trail.clear();
        self.arena.replace_node(old, kind, data, &self.limits)
    }

    /// A directory that is there already, perhaps implicit, takes an entry's metadata and keeps its children.
    fn replace_directory(&mut self, entry: &Entry, directory: u32) -> Result<(), Reason> {
        let node = self.arena.node_mut(directory);
        let was_implicit = node.flags & IMPLICIT != 0;
        node.flags &= !IMPLICIT;
        let inode = node.data;
        if !was_implicit {
            self.warnings.add(Warning::DuplicatePath { path: entry.path().into() })?;
        }
        let xattrs = self.xattrs.keep(entry.xattrs(), &mut self.arena.heap, self.limits.tree_heap_bytes)?;
        if let Some(place) = self.arena.inodes.get_mut(inode as usize) {
            *place = Inode { xattrs, ..Inode::new(InodeKind::Directory, entry.metadata()) };
        }
        Ok(())
    }

    fn place_hardlink(&mut self, entry: &Entry) -> Result<(), Reason> {
        let target = entry.link_target();
        let refuse = |problem| Reason::Hardlink { target: target.into(), problem };
        if classify(target) != Ok(Name::Plain) {
            return Err(refuse("is a whiteout's name"));
        }
        if target.is_empty() {
            return Err(refuse("is the root"));
        }
        let found = self.find(target)?;
        let (directory, name) = split(entry.path());
        let parent = self.parent(directory)?;
        let place = self.arena.find(parent, name);
        if found.is_some() && place.ok() == found {
            return Err(refuse("is the link itself"));
        }
        let found = found.map(|found| (found, *self.arena.node(found)));
        let (kind, data) = match found {
            Some((_, node)) if node.kind == NodeKind::Directory => return Err(refuse("is a directory")),
            Some((number, node)) => {
                if node.kind == NodeKind::Leaf {
                    self.compare(entry, number)?;
                }
                (node.kind, node.data)
            }
            // Not here: a lower layer's, or one that comes later and then refuses the layer.
            None => {
                let target = self.arena.heap.keep_counted(target, self.limits.tree_heap_bytes)?;
                (NodeKind::Link, target)
            }
        };
        let node = self.put(entry, place, kind, data)?;
        if kind == NodeKind::Link {
            self.links.push(node);
        }
        Ok(())
    }

    /// The node of a path, its last component not followed; `None` when the layer does not have it.
    fn find(&mut self, path: &[u8]) -> Result<Option<u32>, Reason> {
        let (directory, name) = split(path);
        match Walk::new(Absent::Stop, &self.limits).follow(&mut self.arena, ROOT, directory)? {
            End::At(directory) => Ok(self.arena.child(directory, name)),
            End::Nothing => Ok(None),
            End::Blocked(_) => Err(Reason::Hardlink {
                target: path.into(),
                problem: "leads through something that is not a directory",
            }),
        }
    }

    /// Warns when a hardlink's header says something else than its target's.
    fn compare(&mut self, entry: &Entry, target: u32) -> Result<(), Reason> {
        let inode = self.arena.inode(target);
        let is_same = inode.metadata() == entry.metadata()
            && self.xattrs.is_same(entry.xattrs(), &self.arena.heap, inode.xattrs);
        if is_same {
            Ok(())
        } else {
            self.warnings.add(Warning::HardlinkMetadata { path: entry.path().into() })
        }
    }
}
