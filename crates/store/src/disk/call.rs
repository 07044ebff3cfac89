//! The calls that a disk understands, as values: what a wrapper records, counts, or fails.
//!
//! A call borrows its handles, names and buffers; nothing is copied on the hot path. `verb` and `path` serve errors and
//! recordings. A call is one system call or a fixed short sequence of them; no call retries what failed (but EINTR).

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{
    Access, Dir, DirEntry, File, FsType, Lock, Metadata, Node, Rename, Resolve, Space, Timestamp, Wait,
};
use crate::{
    Algorithm, ObjectId,
    error::{Error, Result},
};

/// One call to the file system. Names are relative to the directory next to them.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields are the parameters of the methods of the same name on Dir and File"
)]
#[non_exhaustive]
pub enum Call<'a> {
    /// Opens a directory by a path of the caller's, symlinks followed. Gives a descriptor.
    OpenAmbient { path: &'a Path },
    /// Opens a directory. Gives a descriptor.
    OpenDir { dir: &'a Dir, name: &'a Path, resolve: Resolve },
    /// Opens a regular file. Gives a descriptor.
    OpenFile { dir: &'a Dir, name: &'a Path, access: Access, resolve: Resolve },
    /// Makes a file that must not exist. Gives a descriptor, open for reading and writing.
    CreateNew { dir: &'a Dir, name: &'a Path, mode: u16 },
    /// Makes a file without a name (`O_TMPFILE`). Gives a descriptor, open for reading and writing.
    CreateTemp { dir: &'a Dir, mode: u16 },
    /// Opens the same inode again, for reading. Gives a descriptor.
    ReopenReadOnly { file: &'a File },
    /// Gives an open file a name (`linkat`).
    LinkFile { file: &'a File, dir: &'a Dir, name: &'a Path },
    /// Gives a named file another name.
    HardLink { dir: &'a Dir, name: &'a Path, to_dir: &'a Dir, to_name: &'a Path },
    /// Moves a name.
    Rename { dir: &'a Dir, name: &'a Path, to_dir: &'a Dir, to_name: &'a Path, how: Rename },
    /// Makes a symlink.
    Symlink { target: &'a Path, dir: &'a Dir, name: &'a Path },
    /// Reads a symlink's target. Gives bytes.
    ReadLink { dir: &'a Dir, name: &'a Path },
    /// Makes a directory.
    CreateDir { dir: &'a Dir, name: &'a Path, mode: u16 },
    /// Removes a name of anything but a directory.
    RemoveFile { dir: &'a Dir, name: &'a Path },
    /// Removes an empty directory.
    RemoveDir { dir: &'a Dir, name: &'a Path },
    /// Tells about a name, symlinks not followed. Gives metadata.
    Metadata { dir: &'a Dir, name: &'a Path },
    /// Tells about an open file. Gives metadata.
    FileMetadata { file: &'a File },
    /// Lists a directory. Gives entries, without `.` and `..`, in no order.
    ReadDir { dir: &'a Dir },
    /// Sets the permission bits of a name; symlinks are refused.
    SetMode { dir: &'a Dir, name: &'a Path, mode: u16 },
    /// Sets the owner of a name, symlinks not followed.
    SetOwner { dir: &'a Dir, name: &'a Path, uid: u32, gid: u32 },
    /// Sets the times (access and change) of a name, symlinks not followed.
    SetTimes { dir: &'a Dir, name: &'a Path, mtime: Timestamp },
    /// Sets an extended attribute of a name, symlinks not followed.
    SetXattr { dir: &'a Dir, name: &'a Path, key: &'a [u8], value: &'a [u8] },
    /// Reads an extended attribute of a name, symlinks not followed. Gives bytes.
    GetXattr { dir: &'a Dir, name: &'a Path, key: &'a [u8] },
    /// Lists the extended attributes of a name, symlinks not followed. Gives bytes: keys, each with a NUL after it.
    ListXattrs { dir: &'a Dir, name: &'a Path },
    /// Removes an extended attribute of a name, symlinks not followed.
    RemoveXattr { dir: &'a Dir, name: &'a Path, key: &'a [u8] },
    /// Makes a device, fifo or socket.
    MakeNode { dir: &'a Dir, name: &'a Path, node: Node, mode: u16 },
    /// Reads at an offset. Gives a count, 0 at the end.
    Read { file: &'a File, offset: u64, buffer: &'a mut [u8] },
    /// Writes at an offset. Gives a count.
    Write { file: &'a File, offset: u64, bytes: &'a [u8] },
    /// Cuts or extends a file.
    SetLen { file: &'a File, len: u64 },
    /// Sets the permission bits of an open file.
    SetFileMode { file: &'a File, mode: u16 },
    /// Sets or takes away the flag that keeps a file from being changed (`chattr +i`).
    SetImmutable { file: &'a File, immutable: bool },
    /// Tells whether a file has that flag. Gives a count: 1 or 0.
    IsImmutable { file: &'a File },
    /// Asks the kernel to begin writing these bytes to the device and to keep no copy of them; promises nothing.
    StartWriteback { file: &'a File, offset: u64, len: u64 },
    /// Asks the kernel to begin reading these bytes from the device; promises nothing.
    StartReading { file: &'a File, offset: u64, len: u64 },
    /// Makes bytes zeros without their being written where that is possible: a hole, or the device's own command.
    ZeroRange { file: &'a File, offset: u64, len: u64 },
    /// Shares all the blocks of a file (`FICLONE`).
    Reflink { from: &'a File, to: &'a File },
    /// Copies bytes inside the kernel, at the same offset in both. Gives a count.
    CopyRange { from: &'a File, to: &'a File, offset: u64, len: u64 },
    /// Makes a file's content durable (`fsync`).
    SyncFile { file: &'a File },
    /// Makes a directory's names durable (`fsync`).
    SyncDir { dir: &'a Dir },
    /// Makes everything on the file system durable (`syncfs`).
    SyncFs { dir: &'a Dir },
    /// The same, and writes what the journal holds to its place, for readers that replay none. For a moment the file system
    /// may be frozen: whoever writes to it waits.
    EmptyJournal { dir: &'a Dir },
    /// Takes or leaves the lock of a directory (`flock`).
    Lock { dir: &'a Dir, lock: Lock, wait: Wait },
    /// The same for a file.
    LockFile { file: &'a File, lock: Lock, wait: Wait },
    /// Enables fs-verity on a file that nobody has open for writing.
    EnableVerity { file: &'a File, algorithm: Algorithm },
    /// Reads the fs-verity digest from the kernel. Gives an object id, or none if verity is not enabled.
    MeasureVerity { file: &'a File },
    /// Tells how much room there is. Gives space.
    Space { dir: &'a Dir },
    /// Tells the type of the file system. Gives a type.
    FsType { dir: &'a Dir },
    /// Tells the UUID of the file system. Gives its 16 bytes, or none.
    FsUuid { dir: &'a Dir },
}

/// What a call gives.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant is named after its content")]
pub enum Reply {
    Done,
    Fd(OwnedFd),
    Count(usize),
    Metadata(Metadata),
    Entries(Vec<DirEntry>),
    Bytes(Vec<u8>),
    Digest(Option<ObjectId>),
    Space(Space),
    FsType(FsType),
}

impl Call<'_> {
    /// The name of the call, as in this type.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OpenAmbient { .. } => "OpenAmbient",
            Self::OpenDir { .. } => "OpenDir",
            Self::OpenFile { .. } => "OpenFile",
            Self::CreateNew { .. } => "CreateNew",
            Self::CreateTemp { .. } => "CreateTemp",
            Self::ReopenReadOnly { .. } => "ReopenReadOnly",
            Self::LinkFile { .. } => "LinkFile",
            Self::HardLink { .. } => "HardLink",
            Self::Rename { .. } => "Rename",
            Self::Symlink { .. } => "Symlink",
            Self::ReadLink { .. } => "ReadLink",
            Self::CreateDir { .. } => "CreateDir",
            Self::RemoveFile { .. } => "RemoveFile",
            Self::RemoveDir { .. } => "RemoveDir",
            Self::Metadata { .. } => "Metadata",
            Self::FileMetadata { .. } => "FileMetadata",
            Self::ReadDir { .. } => "ReadDir",
            Self::SetMode { .. } => "SetMode",
            Self::SetOwner { .. } => "SetOwner",
            Self::SetTimes { .. } => "SetTimes",
            Self::SetXattr { .. } => "SetXattr",
            Self::GetXattr { .. } => "GetXattr",
            Self::ListXattrs { .. } => "ListXattrs",
            Self::RemoveXattr { .. } => "RemoveXattr",
            Self::MakeNode { .. } => "MakeNode",
            Self::Read { .. } => "Read",
            Self::Write { .. } => "Write",
            Self::SetLen { .. } => "SetLen",
            Self::SetFileMode { .. } => "SetFileMode",
            Self::SetImmutable { .. } => "SetImmutable",
            Self::IsImmutable { .. } => "IsImmutable",
            Self::StartWriteback { .. } => "StartWriteback",
            Self::StartReading { .. } => "StartReading",
            Self::ZeroRange { .. } => "ZeroRange",
            Self::Reflink { .. } => "Reflink",
            Self::CopyRange { .. } => "CopyRange",
            Self::SyncFile { .. } => "SyncFile",
            Self::SyncDir { .. } => "SyncDir",
            Self::SyncFs { .. } => "SyncFs",
            Self::EmptyJournal { .. } => "EmptyJournal",
            Self::Lock { .. } => "Lock",
            Self::LockFile { .. } => "LockFile",
            Self::EnableVerity { .. } => "EnableVerity",
            Self::MeasureVerity { .. } => "MeasureVerity",
            Self::Space { .. } => "Space",
            Self::FsType { .. } => "FsType",
            Self::FsUuid { .. } => "FsUuid",
        }
    }

    /// What the call does, as a verb for messages.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::OpenAmbient { .. } | Self::OpenDir { .. } | Self::OpenFile { .. } => "open",
            Self::CreateNew { .. } => "create",
            Self::CreateTemp { .. } => "create a temporary file in",
            Self::ReopenReadOnly { .. } => "reopen",
            Self::LinkFile { .. } | Self::HardLink { .. } => "link",
            Self::Rename { .. } => "rename",
            Self::Symlink { .. } => "create symlink",
            Self::ReadLink { .. } => "read symlink",
            Self::CreateDir { .. } => "create directory",
            Self::RemoveFile { .. } | Self::RemoveDir { .. } => "remove",
            Self::Metadata { .. } | Self::FileMetadata { .. } => "stat",
            Self::ReadDir { .. } => "list",
            Self::SetMode { .. } | Self::SetFileMode { .. } => "set the mode of",
            Self::SetOwner { .. } => "set the owner of",
            Self::SetTimes { .. } => "set the times of",
            Self::SetXattr { .. } => "set an extended attribute of",
            Self::GetXattr { .. } => "read an extended attribute of",
            Self::ListXattrs { .. } => "list the extended attributes of",
            Self::RemoveXattr { .. } => "remove an extended attribute of",
            Self::MakeNode { .. } => "create node",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::SetLen { .. } => "resize",
            Self::SetImmutable { .. } => "set the flags of",
            Self::IsImmutable { .. } => "read the flags of",
            Self::StartWriteback { .. } => "begin writing back",
            Self::StartReading { .. } => "begin reading",
            Self::ZeroRange { .. } => "write zeros to",
            Self::Reflink { .. } => "reflink to",
            Self::CopyRange { .. } => "copy to",
            Self::SyncFile { .. } | Self::SyncDir { .. } => "sync",
            Self::SyncFs { .. } => "sync the file system of",
            Self::EmptyJournal { .. } => "empty the journal of the file system of",
            Self::Lock { .. } | Self::LockFile { .. } => "lock",
            Self::EnableVerity { .. } => "enable fs-verity on",
            Self::MeasureVerity { .. } => "measure fs-verity of",
            Self::Space { .. } | Self::FsType { .. } | Self::FsUuid { .. } => "stat the file system of",
        }
    }

    /// The path that the call changes or looks at, for messages: the directory's label and the name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::OpenAmbient { path } => path.to_path_buf(),
            Self::OpenDir { dir, name, .. }
            | Self::OpenFile { dir, name, .. }
            | Self::CreateNew { dir, name, .. }
            | Self::LinkFile { dir, name, .. }
            | Self::Symlink { dir, name, .. }
            | Self::ReadLink { dir, name }
            | Self::CreateDir { dir, name, .. }
            | Self::RemoveFile { dir, name }
            | Self::RemoveDir { dir, name }
            | Self::Metadata { dir, name }
            | Self::SetMode { dir, name, .. }
            | Self::SetOwner { dir, name, .. }
            | Self::SetTimes { dir, name, .. }
            | Self::SetXattr { dir, name, .. }
            | Self::GetXattr { dir, name, .. }
            | Self::ListXattrs { dir, name }
            | Self::RemoveXattr { dir, name, .. }
            | Self::MakeNode { dir, name, .. } => dir.label().join(name),
            Self::HardLink { to_dir, to_name, .. } | Self::Rename { to_dir, to_name, .. } => {
                to_dir.label().join(to_name)
            }
            Self::CreateTemp { dir, .. }
            | Self::ReadDir { dir }
            | Self::SyncDir { dir }
            | Self::SyncFs { dir }
            | Self::EmptyJournal { dir }
            | Self::Lock { dir, .. }
            | Self::Space { dir }
            | Self::FsType { dir }
            | Self::FsUuid { dir } => dir.label().to_owned(),
            Self::ReopenReadOnly { file }
            | Self::FileMetadata { file }
            | Self::Read { file, .. }
            | Self::Write { file, .. }
            | Self::SetLen { file, .. }
            | Self::SetFileMode { file, .. }
            | Self::SetImmutable { file, .. }
            | Self::IsImmutable { file }
            | Self::StartWriteback { file, .. }
            | Self::StartReading { file, .. }
            | Self::ZeroRange { file, .. }
            | Self::SyncFile { file }
            | Self::LockFile { file, .. }
            | Self::EnableVerity { file, .. }
            | Self::MeasureVerity { file } => file.label().to_owned(),
            Self::Reflink { to, .. } | Self::CopyRange { to, .. } => to.label().to_owned(),
        }
    }
}

/// A reply of another kind than the call has: a wrapper's fault, told as EPROTO.
fn wrong_reply() -> Error {
    Error::at("understand the disk's answer for", Path::new("(unknown)"), rustix::io::Errno::PROTO)
}

macro_rules! into_reply {
    ($($method:ident $variant:ident $content:ty;)*) => {
        #[allow(clippy::missing_errors_doc, missing_docs, reason = "crate-private in effect: handles unwrap replies")]
        impl Reply {
            $(pub(super) fn $method(self) -> Result<$content> {
                match self {
                    Self::$variant(content) => Ok(content),
                    _ => Err(wrong_reply()),
                }
            })*
        }
    };
}

into_reply! {
    into_fd Fd OwnedFd;
    into_count Count usize;
    into_metadata Metadata Metadata;
    into_entries Entries Vec<DirEntry>;
    into_bytes Bytes Vec<u8>;
    into_digest Digest Option<ObjectId>;
    into_space Space Space;
    into_fs_type FsType FsType;
}
