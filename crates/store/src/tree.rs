//! The file tree of one image: what a merge builds, an EROFS image stores and a dump prints.
//!
//! What lives here: [`Tree`], flat tables of inodes, directory entries and bytes (names, inline contents, symlink
//! targets, digests, extended attributes), about 110 bytes an entry. What does not: layers, whiteouts' meaning, the
//! on-disk format. Invariants: entries of a directory are sorted bytewise and unique; what is reachable from the root
//! is a tree of directories (each has one name), with any number of links to everything else.

mod content;
mod diff;
mod error;
mod metadata;
mod objects;
mod resolve;
mod walk;
mod xattrs;

#[cfg(test)]
mod tests;

pub use content::{Content, FileType, INLINE_MAX, OBJECT_MAX, TARGET_MAX};
pub use diff::{Attribute, Change, Diff, Difference};
pub use error::TreeError;
pub use metadata::{Metadata, Timestamp};
pub use walk::Walk;
pub use xattrs::{XattrSet, Xattrs};

use content::Kind;
use xattrs::XattrTable;

use crate::{Algorithm, ObjectId};

/// The longest name of a directory entry in bytes (`NAME_MAX` of `linux/limits.h`).
pub const NAME_MAX: usize = 255;

/// A file of a [`Tree`]: valid in the tree that made it and in its clones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeId(u32);

impl InodeId {
    /// The position among all inodes that the tree ever made: below [`Tree::inode_count`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number that [`of_number`](Self::of_number) takes: never 0, so that zeros stand for none.
    pub(crate) const fn number(self) -> u32 {
        self.0 + 1
    }

    /// The file of a number, which is from the same tree; of 0 there is none.
    pub(crate) const fn of_number(number: u32) -> Option<Self> {
        match number.checked_sub(1) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Inode {
    seconds: i64,
    /// Bytes of content.
    size: u64,
    nanoseconds: u32,
    uid: u32,
    gid: u32,
    /// By kind: an index of `directories`, an offset in `bytes`, or a device number.
    data: u32,
    xattrs: XattrSet,
    mode: u16,
    kind: Kind,
    /// A directory that has its one name (the root has it from the start).
    is_linked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The name's offset in `bytes`.
    name: u32,
    inode: InodeId,
    name_len: u8,
}

/// The file tree of one image.
///
/// ```
/// use sealstone_store::tree::{Content, Metadata, Timestamp, Tree, XattrSet};
///
/// let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
/// let mut tree = Tree::new(metadata);
/// let etc = tree.add(metadata, Content::Directory, XattrSet::EMPTY)?;
/// tree.link(tree.root(), b"etc", etc)?;
/// let hostname = tree.add(metadata, Content::Inline(b"sealstone\n"), XattrSet::EMPTY)?;
/// tree.link(etc, b"hostname", hostname)?;
/// assert_eq!(tree.resolve(b"/etc/hostname")?, hostname);
/// # Ok::<(), sealstone_store::tree::TreeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    directories: Vec<Vec<Entry>>,
    bytes: Vec<u8>,
    xattrs: XattrTable,
}

impl Tree {
    /// A tree with nothing but its root directory.
    #[must_use]
    pub fn new(root: Metadata) -> Self {
        Self::with_capacity(root, 1)
    }

    /// The same, with room for about so many inodes.
    #[must_use]
    pub fn with_capacity(root: Metadata, inodes: usize) -> Self {
        let mut tree = Self {
            inodes: Vec::with_capacity(inodes.max(1)),
            directories: vec![Vec::new()],
            bytes: Vec::new(),
            xattrs: XattrTable::default(),
        };
        tree.inodes.push(Inode::new(root, Kind::Directory, 0, 0, XattrSet::EMPTY));
        tree.set_linked(tree.root(), true);
        tree
    }

    /// The root directory.
    #[must_use]
    pub const fn root(&self) -> InodeId {
        InodeId(0)
    }

    /// How many inodes the tree made, those that lost their names included: all indexes are below.
    #[must_use]
    pub fn inode_count(&self) -> usize {
        self.inodes.len()
    }

    /// A new file, without a name yet.
    ///
    /// # Errors
    /// [`TreeError::TooBig`] for an object above [`OBJECT_MAX`] bytes, a symlink's target above [`TARGET_MAX`], or
    /// when inodes or bytes outgrow 32 bits (4 GiB of names, targets and digests). [`TreeError::Target`] for a target
    /// that is empty or holds NUL.
    pub fn add(
        &mut self,
        metadata: Metadata,
        content: Content<'_>,
        xattrs: XattrSet,
    ) -> Result<InodeId, TreeError> {
        let id = offset("inodes", self.inodes.len())?;
        let (kind, data, size) = match content {
            Content::Directory => {
                self.directories.push(Vec::new());
                (Kind::Directory, offset("directories", self.directories.len() - 1)?, 0)
            }
            Content::Inline(bytes) => (Kind::Inline, self.keep(bytes)?, bytes.len() as u64),
            Content::External { size, .. } if size > OBJECT_MAX => {
                return Err(TreeError::TooBig { what: "bytes of a file", limit: OBJECT_MAX });
            }
            Content::External { object, size } => {
                (Kind::External(object.algorithm()), self.keep(object.as_bytes())?, size)
            }
            Content::Symlink(target) if target.len() > TARGET_MAX => {
                return Err(TreeError::TooBig {
                    what: "bytes of a symlink's target",
                    limit: TARGET_MAX as u64,
                });
            }
            Content::Symlink(target) if target.is_empty() || target.contains(&0) => {
                return Err(TreeError::Target(quoted(target)));
            }
            Content::Symlink(target) => (Kind::Symlink, self.keep(target)?, target.len() as u64),
            Content::CharDevice(number) => (Kind::CharDevice, number, 0),
            Content::BlockDevice(number) => (Kind::BlockDevice, number, 0),
            Content::Fifo => (Kind::Fifo, 0, 0),
            Content::Socket => (Kind::Socket, 0, 0),
        };
        reserve(&mut self.inodes, 1);
        self.inodes.push(Inode::new(metadata, kind, data, size, xattrs));
        Ok(InodeId(id))
    }

    /// Gives an inode a name in a directory. Names that come in byte order cost nothing more than an append; any other
    /// costs a binary search and a move of the names after it.
    ///
    /// # Errors
    /// The name's errors, [`TreeError::Duplicate`], [`TreeError::NotADirectory`], or
    /// [`TreeError::LinkedDirectory`] for a directory that has a name already.
    pub fn link(&mut self, directory: InodeId, name: &[u8], inode: InodeId) -> Result<(), TreeError> {
        let name_len = check_name(name)?;
        let table = self.directory_index(directory).ok_or_else(|| TreeError::NotADirectory(quoted(name)))?;
        if self.inode(inode).is_linked {
            return Err(TreeError::LinkedDirectory(quoted(name)));
        }
        let place = self.search_to_insert(table, name)?;
        let entry = Entry { name: self.keep(name)?, inode, name_len };
        if let Some(entries) = self.directories.get_mut(table) {
            entries.insert(place, entry);
        }
        self.set_linked(inode, true);
        Ok(())
    }

    /// Takes a name out of a directory; a directory goes with all below it. What it named, if it was there, can be
    /// linked again.
    pub fn unlink(&mut self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        let table = self.directory_index(directory)?;
        let place = self.search(table, name).ok()?;
        let inode = self.directories.get_mut(table)?.remove(place).inode;
        self.set_linked(inode, false);
        Some(inode)
    }

    /// Takes all names out of a directory.
    pub fn clear(&mut self, directory: InodeId) {
        let Some(table) = self.directory_index(directory) else { return };
        for entry in self.directories.get_mut(table).map(std::mem::take).unwrap_or_default() {
            self.set_linked(entry.inode, false);
        }
    }

    /// The entries of a directory, sorted bytewise by name; none for anything else.
    #[must_use = "iterators are lazy"]
    pub fn entries(
        &self,
        directory: InodeId,
    ) -> impl ExactSizeIterator<Item = (&[u8], InodeId)> + DoubleEndedIterator + Clone + '_ {
        self.table(directory).iter().map(|entry| (self.name(entry), entry.inode))
    }

    /// The inode of this name in a directory.
    #[must_use]
    pub fn lookup(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        let table = self.directory_index(directory)?;
        let place = self.search(table, name).ok()?;
        Some(self.directories.get(table)?.get(place)?.inode)
    }

    /// Mode, owner and modification time.
    #[must_use]
    pub fn metadata(&self, inode: InodeId) -> Metadata {
        let inode = self.inode(inode);
        let mtime = Timestamp { sec: inode.seconds, nsec: inode.nanoseconds };
        Metadata { mode: inode.mode, uid: inode.uid, gid: inode.gid, mtime }
    }

    /// Replaces mode, owner and modification time.
    pub fn set_metadata(&mut self, inode: InodeId, metadata: Metadata) {
        if let Some(inode) = self.inodes.get_mut(inode.index()) {
            *inode = Inode {
                is_linked: inode.is_linked,
                ..Inode::new(metadata, inode.kind, inode.data, inode.size, inode.xattrs)
            };
        }
    }

    /// What kind of file this is.
    #[must_use]
    pub fn file_type(&self, inode: InodeId) -> FileType {
        self.inode(inode).kind.file_type()
    }

    /// The content.
    #[must_use]
    pub fn content(&self, inode: InodeId) -> Content<'_> {
        let Inode { kind, data, size, .. } = *self.inode(inode);
        match kind {
            Kind::Directory => Content::Directory,
            Kind::Inline => Content::Inline(self.kept(data, size)),
            Kind::External(algorithm) => {
                let digest = self.kept(data, algorithm.digest_len() as u64);
                match ObjectId::from_digest(algorithm, digest) {
                    Ok(object) => Content::External { object, size },
                    Err(_) => unreachable!("add kept a digest of this length"),
                }
            }
            Kind::Symlink => Content::Symlink(self.kept(data, size)),
            Kind::CharDevice => Content::CharDevice(data),
            Kind::BlockDevice => Content::BlockDevice(data),
            Kind::Fifo => Content::Fifo,
            Kind::Socket => Content::Socket,
        }
    }

    /// Whether this is what overlayfs takes for a whiteout: a character device with number 0.
    #[must_use]
    pub fn is_whiteout(&self, inode: InodeId) -> bool {
        let inode = self.inode(inode);
        inode.kind == Kind::CharDevice && inode.data == 0
    }

    /// The size of the content in bytes; 0 for what has none.
    #[must_use]
    pub fn size(&self, inode: InodeId) -> u64 {
        self.inode(inode).size
    }

    /// A set of extended attributes for [`add`](Self::add): equal sets are kept once and get the same value.
    ///
    /// # Errors
    /// A name that is empty, holds NUL or exceeds 255 bytes, a name twice, or more than
    /// [`XattrSet::COUNT_MAX`] attributes or [`XattrSet::BYTES_MAX`] bytes.
    pub fn intern_xattrs(&mut self, xattrs: &[(&[u8], &[u8])]) -> Result<XattrSet, TreeError> {
        self.xattrs.intern(xattrs)
    }

    /// The extended attributes of an inode, sorted bytewise by name.
    #[must_use]
    pub fn xattrs(&self, inode: InodeId) -> Xattrs<'_> {
        self.xattrs.get(self.inode(inode).xattrs)
    }

    /// The set that an inode has: equal for inodes with equal attributes.
    #[must_use]
    pub fn xattr_set(&self, inode: InodeId) -> XattrSet {
        self.inode(inode).xattrs
    }

    /// The attributes of a set, sorted bytewise by name.
    #[must_use]
    pub fn xattrs_of(&self, set: XattrSet) -> Xattrs<'_> {
        self.xattrs.get(set)
    }

    /// All different sets in the order of their indexes, the empty one first.
    pub(crate) fn xattr_sets(&self) -> impl Iterator<Item = Xattrs<'_>> {
        self.xattrs.iter()
    }

    /// The bytes that all different sets take.
    pub(crate) fn xattr_bytes(&self) -> usize {
        self.xattrs.bytes_len()
    }

    /// How many different sets there are, the empty one included.
    #[must_use]
    pub fn xattr_set_count(&self) -> usize {
        self.xattrs.len()
    }

    /// Replaces the extended attributes of an inode.
    pub fn set_xattrs(&mut self, inode: InodeId, xattrs: XattrSet) {
        if let Some(inode) = self.inodes.get_mut(inode.index()) {
            inode.xattrs = xattrs;
        }
    }

    /// How many names each inode has among those reachable from the root, by [`InodeId::index`]. The root counts one.
    #[must_use]
    pub fn link_counts(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; self.inodes.len()];
        let mut to_visit = vec![self.root()];
        let mut count = |inode: InodeId| {
            if let Some(count) = counts.get_mut(inode.index()) {
                *count = count.saturating_add(1);
            }
        };
        count(self.root());
        while let Some(directory) = to_visit.pop() {
            for entry in self.table(directory) {
                count(entry.inode);
                if self.inode(entry.inode).kind == Kind::Directory {
                    to_visit.push(entry.inode);
                }
            }
        }
        counts
    }

    /// The heap memory held, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let entries: usize = self.directories.iter().map(Vec::capacity).sum();
        self.inodes.capacity() * size_of::<Inode>()
            + self.directories.capacity() * size_of::<Vec<Entry>>()
            + entries * size_of::<Entry>()
            + self.bytes.capacity()
            + self.xattrs.memory()
    }

    #[expect(clippy::indexing_slicing, reason = "only a tree makes ids: one out of range is another tree's")]
    fn inode(&self, inode: InodeId) -> &Inode {
        &self.inodes[inode.index()]
    }

    fn set_linked(&mut self, inode: InodeId, is_linked: bool) {
        if let Some(inode) = self.inodes.get_mut(inode.index()) {
            inode.is_linked = is_linked && inode.kind == Kind::Directory;
        }
    }

    fn directory_index(&self, inode: InodeId) -> Option<usize> {
        let inode = self.inode(inode);
        (inode.kind == Kind::Directory).then_some(inode.data as usize)
    }

    fn table(&self, directory: InodeId) -> &[Entry] {
        self.directory_index(directory)
            .and_then(|index| self.directories.get(index))
            .map_or(&[], Vec::as_slice)
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        self.kept(entry.name, u64::from(entry.name_len))
    }

    /// The place of a name among a directory's entries, or where it belongs.
    fn search(&self, table: usize, name: &[u8]) -> Result<usize, usize> {
        let entries = self.directories.get(table).map_or(&[][..], Vec::as_slice);
        entries.binary_search_by(|entry| self.name(entry).cmp(name))
    }

    /// The place for a new name; the end is tried first.
    fn search_to_insert(&self, table: usize, name: &[u8]) -> Result<usize, TreeError> {
        let entries = self.directories.get(table).map_or(&[][..], Vec::as_slice);
        if entries.last().is_none_or(|last| self.name(last) < name) {
            return Ok(entries.len());
        }
        self.search(table, name).err().ok_or_else(|| TreeError::Duplicate(quoted(name)))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<u32, TreeError> {
        let start = offset("bytes of names, targets and digests", self.bytes.len())?;
        reserve(&mut self.bytes, bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(start)
    }

    fn kept(&self, start: u32, len: u64) -> &[u8] {
        let start = start as usize;
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        end.and_then(|end| self.bytes.get(start..end)).unwrap_or_default()
    }
}

impl Inode {
    fn new(metadata: Metadata, kind: Kind, data: u32, size: u64, xattrs: XattrSet) -> Self {
        Self {
            seconds: metadata.mtime.sec,
            size,
            nanoseconds: metadata.mtime.nsec,
            uid: metadata.uid,
            gid: metadata.gid,
            data,
            xattrs,
            mode: metadata.mode & 0o7777,
            kind,
            is_linked: false,
        }
    }
}

/// Makes room, by a quarter at a time: doubling would leave up to half of a big table unused.
fn reserve<T>(table: &mut Vec<T>, additional: usize) {
    if table.capacity() - table.len() < additional {
        table.reserve_exact(additional.max(table.len() / 4).max(64));
    }
}

/// A count or an offset as the tables store it. `u32::MAX` itself is never one.
fn offset(what: &'static str, value: usize) -> Result<u32, TreeError> {
    u32::try_from(value)
        .ok()
        .filter(|value| *value != u32::MAX)
        .ok_or(TreeError::TooBig { what, limit: u64::from(u32::MAX) })
}

fn check_name(name: &[u8]) -> Result<u8, TreeError> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
        return Err(TreeError::Name(quoted(name)));
    }
    u8::try_from(name.len())
        .map_err(|_| TreeError::TooBig { what: "bytes of a name", limit: NAME_MAX as u64 })
}

/// A name for an error message: what is not ASCII graphic is escaped, so that a terminal stays safe.
fn quoted(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}
