//! What a file holds: [`Content`] as callers see it, [`FileType`], and the byte that a tree keeps for both.
//!
//! What does not live here: the bytes themselves, which are in the tree's arena.

use crate::{Algorithm, ObjectId};

/// Regular files up to this many bytes are kept inside the image, larger ones as objects. A constant of the format:
/// another value gives other image digests (composefs: `INLINE_CONTENT_MAX_V0`).
pub const INLINE_MAX: usize = 64;

/// The largest file that an image can name, in bytes: 8 PiB, since its chunk table is at most one block of 1,024
/// entries and a chunk at most 8 TiB (EROFS: `EROFS_CHUNK_FORMAT_BLKBITS_MASK`; C composefs: its
/// `LCFS_MAX_NONINLINE_CHUNKS`).
pub const OBJECT_MAX: u64 = 1 << 53;

/// The longest target of a symbolic link, in bytes (`PATH_MAX` of `linux/limits.h`, less its NUL).
pub const TARGET_MAX: usize = 4095;

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A directory; its entries are linked into it.
    Directory,
    /// A regular file whose bytes are in the image itself: empty or small, see [`INLINE_MAX`].
    Inline(&'a [u8]),
    /// A regular file whose bytes are an object.
    External {
        /// The object.
        object: ObjectId,
        /// The object's size in bytes.
        size: u64,
    },
    /// A symbolic link with its target.
    Symlink(&'a [u8]),
    /// A character device with its number (Linux's 32-bit encoding). Number 0 is an overlayfs whiteout to the kernel.
    CharDevice(u32),
    /// A block device with its number (Linux's 32-bit encoding).
    BlockDevice(u32),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
}

/// The type of a file, as in the upper bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A regular file, whether its bytes are in the image or an object.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileType {
    /// The type's bits of `st_mode` (`S_IFMT`).
    #[must_use]
    pub const fn mode_bits(self) -> u16 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }

    /// The type in the upper bits of a mode, if they are one.
    #[must_use]
    pub const fn from_mode(mode: u16) -> Option<Self> {
        match mode & 0o170_000 {
            0o100_000 => Some(Self::Regular),
            0o040_000 => Some(Self::Directory),
            0o120_000 => Some(Self::Symlink),
            0o020_000 => Some(Self::CharDevice),
            0o060_000 => Some(Self::BlockDevice),
            0o010_000 => Some(Self::Fifo),
            0o140_000 => Some(Self::Socket),
            _ => None,
        }
    }
}

/// The kind of content, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Inline,
    External(Algorithm),
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl Kind {
    pub(super) const fn file_type(self) -> FileType {
        match self {
            Self::Directory => FileType::Directory,
            Self::Inline | Self::External(_) => FileType::Regular,
            Self::Symlink => FileType::Symlink,
            Self::CharDevice => FileType::CharDevice,
            Self::BlockDevice => FileType::BlockDevice,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
        }
    }
}
