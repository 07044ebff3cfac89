//! The plain values that calls take and give: kinds, modes, metadata. No behaviour beyond conversion.

use std::ffi::OsString;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A type that the file system does not tell.
    Other,
}

impl From<rustix::fs::FileType> for FileType {
    fn from(kind: rustix::fs::FileType) -> Self {
        match kind {
            rustix::fs::FileType::RegularFile => Self::File,
            rustix::fs::FileType::Directory => Self::Directory,
            rustix::fs::FileType::Symlink => Self::Symlink,
            rustix::fs::FileType::BlockDevice => Self::BlockDevice,
            rustix::fs::FileType::CharacterDevice => Self::CharDevice,
            rustix::fs::FileType::Fifo => Self::Fifo,
            rustix::fs::FileType::Socket => Self::Socket,
            rustix::fs::FileType::Unknown => Self::Other,
        }
    }
}

/// One name in a directory, with the type if the file system tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, any bytes but NUL and `/`.
    pub name: OsString,
    /// The type.
    pub kind: FileType,
}

/// A point in time: seconds since 1970 (negative before) and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nsec: u32,
}

/// What statx(2) tells of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The type.
    pub kind: FileType,
    /// The permission bits (07777).
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size in bytes; that of the device, where one is open.
    pub size: u64,
    /// The space taken, in bytes.
    pub allocated: u64,
    /// How many names the inode has.
    pub links: u32,
    /// The inode number, unique within `device`.
    pub inode: u64,
    /// The device number of the file system (major, minor).
    pub device: (u32, u32),
    /// The number of the device that this is, if it is one (major, minor).
    pub rdev: (u32, u32),
    /// The last change of the content.
    pub mtime: Timestamp,
    /// Whether fs-verity is enabled, as far as the kernel tells (`STATX_ATTR_VERITY`).
    pub verity: bool,
    /// Whether something is mounted here (`STATX_ATTR_MOUNT_ROOT`).
    pub mount_root: bool,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing, in place.
    ReadWrite,
    /// The same, of a block device that nobody else has: EBUSY when it is mounted or otherwise claimed (`O_EXCL`).
    Device,
}

/// How names on the way are resolved (openat2(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// No symlink at all, and never above the directory.
    NoSymlinks,
    /// Symlinks are followed as long as they stay below the directory.
    Beneath,
    /// As if the directory were `/`: absolute links and `..` stay inside.
    InRoot,
}

/// What a rename does when the new name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// Takes its place, atomically.
    Replace,
    /// Fails with EEXIST.
    NoReplace,
    /// Swaps the two, atomically; both must exist.
    Exchange,
}

/// How much a flock(2) excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// With other shared holders.
    Shared,
    /// Alone.
    Exclusive,
    /// Not any more.
    Unlock,
}

/// Whether a lock is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it is free.
    Block,
    /// Not at all: EWOULDBLOCK.
    Try,
}

/// A node that is neither a file, a directory nor a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The space of a file system, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total: u64,
    /// What root may still write, in bytes.
    pub free: u64,
    /// What anybody may still write, in bytes.
    pub available: u64,
    /// The unit of allocation, in bytes.
    pub block: u64,
    /// How many inodes are free (0 where there is no such count, as on FAT and btrfs).
    pub free_inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// The file system's type, by the magic number of statfs(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsType {
    /// ext2, ext3 or ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// F2FS.
    F2fs,
    /// FAT, as on an ESP.
    Vfat,
    /// tmpfs.
    Tmpfs,
    /// overlayfs.
    Overlay,
    /// EROFS.
    Erofs,
    /// Another, by its magic number.
    Other(u64),
}

impl FsType {
    /// The type that has this magic number (`linux/magic.h`).
    #[must_use]
    pub const fn from_magic(magic: u64) -> Self {
        match magic {
            0xef53 => Self::Ext4,
            0x5846_5342 => Self::Xfs,
            0x9123_683e => Self::Btrfs,
            0xf2f5_2010 => Self::F2fs,
            0x4d44 => Self::Vfat,
            0x0102_1994 => Self::Tmpfs,
            0x794c_7630 => Self::Overlay,
            0xe0f5_e1e2 => Self::Erofs,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for FsType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::F2fs => "f2fs",
            Self::Vfat => "vfat",
            Self::Tmpfs => "tmpfs",
            Self::Overlay => "overlay",
            Self::Erofs => "erofs",
            Self::Other(magic) => return write!(f, "type {magic:#x}"),
        })
    }
}
