//! One entry of a layer's tar, as a [`Reader`](super::Reader) parsed it.

use super::{SparseMap, Xattrs};
use sealstone_store::tree::{Metadata, Timestamp};

/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, contiguous and sparse ones included.
    File,
    /// A directory.
    Directory,
    /// A symlink to [`Entry::link_target`].
    Symlink,
    /// Another name of [`Entry::link_target`].
    Hardlink,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// A device number: at most 12 bits of major and 20 of minor, what Linux has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// The device of these numbers, if Linux can have it.
    #[must_use]
    pub fn new(major: i64, minor: i64) -> Option<Self> {
        let in_bits =
            |number: i64, bits: u32| u32::try_from(number).ok().filter(|number| number >> bits == 0);
        Some(Self { major: in_bits(major, 12)?, minor: in_bits(minor, 20)? })
    }

    /// The device of a number in Linux's 32-bit encoding.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self { major: number >> 8 & 0xfff, minor: number & 0xff | number >> 12 & 0xf_ff00 }
    }

    /// The major number.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.major
    }

    /// The minor number.
    #[must_use]
    pub const fn minor(self) -> u32 {
        self.minor
    }

    /// The number in Linux's 32-bit encoding (`new_encode_dev` of `linux/kdev_t.h`), as EROFS stores it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.minor & 0xff | self.major << 8 | (self.minor & !0xff) << 12
    }
}

/// One entry. The reader parses each into the same buffers: copy what must outlive the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) link_target: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) metadata: Metadata,
    pub(super) xattrs: Xattrs,
    pub(super) size: u64,
    pub(super) packed_size: u64,
    pub(super) sparse: SparseMap,
    pub(super) is_sparse: bool,
    pub(super) offset: u64,
    pub(super) spelling: Option<Spelling>,
}

/// An entry's names as the tar has them: any bytes, nothing normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The path.
    pub path: Vec<u8>,
    /// What a link leads to.
    pub link_target: Vec<u8>,
}

impl Entry {
    /// An entry with nothing in it, to parse into.
    pub(super) fn blank() -> Self {
        Self {
            path: Vec::new(),
            link_target: Vec::new(),
            kind: Kind::File,
            metadata: Metadata { mode: 0, uid: 0, gid: 0, mtime: Timestamp::default() },
            xattrs: Xattrs::default(),
            size: 0,
            packed_size: 0,
            sparse: SparseMap::default(),
            is_sparse: false,
            offset: 0,
            spelling: None,
        }
    }

    /// The path, relative and normalised: no empty component, no `.`, no `..`. The root's is empty.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// What the entry makes.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Permissions, owner and modification time.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        self.metadata
    }

    /// A symlink's target as it is, or a hardlink's target as a normalised path; empty for the others.
    #[must_use]
    pub fn link_target(&self) -> &[u8] {
        &self.link_target
    }

    /// Extended attributes, `SCHILY.xattr.` and `LIBARCHIVE.xattr.` alike, none filtered.
    #[must_use]
    pub const fn xattrs(&self) -> &Xattrs {
        &self.xattrs
    }

    /// Bytes of the file, holes expanded; 0 for everything but files.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the body that follows in the tar: the size, or a sparse file's data segments alone.
    #[must_use]
    pub const fn packed_size(&self) -> u64 {
        self.packed_size
    }

    /// Where the packed bytes belong in the file; `None` when the body is the file.
    #[must_use]
    pub fn sparse(&self) -> Option<&SparseMap> {
        self.is_sparse.then_some(&self.sparse)
    }

    /// The names as the tar has them, from a reader that was told to keep them.
    #[must_use]
    pub const fn spelling(&self) -> Option<&Spelling> {
        self.spelling.as_ref()
    }

    /// The offset in the tar of the first of the entry's header blocks.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}
