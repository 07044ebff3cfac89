//! [`RealDisk`]: each call as Linux system calls, through rustix.
//!
//! Needs Linux 5.8 (openat2, and syncfs that reports errors) and `/proc` for the calls that have no descriptor form.
//! Interrupted calls (EINTR) are repeated, syncs excepted: a sync is never repeated (rule D5).

use std::{
    num::NonZeroU64,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{
        self, AtFlags, CWD, FlockOperation, IFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags,
        XattrFlags,
    },
    io::{Errno, retry_on_intr},
};

use super::{
    Access, Call, Dir, DirEntry, Disk, File, FsType, Lock, Metadata, Node, Rename, Reply, Resolve, Space,
    Timestamp, Wait,
};
use crate::{
    raw,
    verity::{self, VerityError},
};

/// The size of the buffer that directories are read with, in bytes.
const READ_DIR_BUFFER: usize = 32 << 10;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The real disk, ready to be shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(Self)
    }
}

impl Disk for RealDisk {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::OpenAmbient { .. }
            | Call::OpenDir { .. }
            | Call::OpenFile { .. }
            | Call::CreateNew { .. }
            | Call::CreateTemp { .. }
            | Call::ReopenReadOnly { .. } => open(call),
            Call::Read { file, offset, buffer } => {
                retry_on_intr(|| rustix::io::pread(*file, &mut **buffer, *offset)).map(Reply::Count)
            }
            Call::Write { file, offset, bytes } => {
                retry_on_intr(|| rustix::io::pwrite(*file, bytes, *offset)).map(Reply::Count)
            }
            Call::Metadata { dir, name } => metadata(dir.as_fd(), name),
            Call::FileMetadata { file } => file_metadata(file.as_fd()),
            Call::ReadDir { dir } => read_dir(dir).map(Reply::Entries),
            Call::ReadLink { dir, name } => {
                fs::readlinkat(dir, *name, Vec::new()).map(|text| Reply::Bytes(text.into_bytes()))
            }
            Call::GetXattr { dir, name, key } => {
                xattr(|buffer| fs::lgetxattr(proc_child(dir, name), *key, buffer))
            }
            Call::ListXattrs { dir, name } => xattr(|buffer| fs::llistxattr(proc_child(dir, name), buffer)),
            Call::SyncFile { file } => fs::fsync(*file).map(done),
            Call::SyncDir { dir } => fs::fsync(*dir).map(done),
            Call::SyncFs { dir } => fs::syncfs(*dir).map(done),
            Call::EmptyJournal { dir } => empty_journal(dir).map(done),
            Call::Lock { dir, lock, wait } => flock(dir.as_fd(), *lock, *wait).map(done),
            Call::LockFile { file, lock, wait } => flock(file.as_fd(), *lock, *wait).map(done),
            Call::SetLen { file, len } => retry_on_intr(|| fs::ftruncate(*file, *len)).map(done),
            Call::StartWriteback { file, offset, len } => {
                // Begins the write-back of the range and lets go of its clean pages; sync_file_range(2) is not needed.
                fs::fadvise(*file, *offset, NonZeroU64::new(*len), fs::Advice::DontNeed).map(done)
            }
            Call::StartReading { file, offset, len } => {
                fs::fadvise(*file, *offset, NonZeroU64::new(*len), fs::Advice::WillNeed).map(done)
            }
            Call::ZeroRange { file, offset, len } => zero_range(file, *offset, *len).map(done),
            Call::SetImmutable { file, immutable } => set_immutable(file, *immutable).map(done),
            Call::IsImmutable { file } => match fs::ioctl_getflags(*file) {
                Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Reply::Count(0)),
                flags => Ok(Reply::Count(usize::from(flags?.contains(IFlags::IMMUTABLE)))),
            },
            Call::Reflink { from, to } => fs::ioctl_ficlone(*to, *from).map(done),
            Call::CopyRange { from, to, offset, len } => {
                copy_range(from, to, *offset, *len).map(Reply::Count)
            }
            Call::EnableVerity { .. } | Call::MeasureVerity { .. } => verity(call),
            Call::Space { dir } => space(dir).map(Reply::Space),
            Call::FsType { dir } => {
                fs::fstatfs(*dir).map(|stat| Reply::FsType(FsType::from_magic(magic(&stat))))
            }
            Call::FsUuid { dir } => fs_uuid(dir).map(|uuid| Reply::Bytes(uuid.unwrap_or_default())),
            _ => change(call).map(done),
        }
    }
}

fn fs_uuid(dir: &Dir) -> Result<Option<Vec<u8>>, Errno> {
    let uuid = match raw::fs_uuid::of_any(dir)? {
        None if FsType::from_magic(magic(&fs::fstatfs(dir)?)) == FsType::Btrfs => {
            raw::fs_uuid::of_btrfs(dir)?
        }
        told => told,
    };
    Ok(uuid.map(Vec::from))
}

/// Synced first: that reports what could not be written, where a freeze does not before Linux 5.17, and leaves little to do
/// while it is frozen.
fn empty_journal(dir: &Dir) -> Result<(), Errno> {
    fs::syncfs(dir)?;
    raw::freeze::empty_journal(dir)
}

fn set_immutable(file: &File, immutable: bool) -> Result<(), Errno> {
    let mut flags = fs::ioctl_getflags(file)?;
    flags.set(IFlags::IMMUTABLE, immutable);
    fs::ioctl_setflags(file, flags)
}

fn done((): ()) -> Reply {
    Reply::Done
}

/// The calls that open something.
fn open(call: &Call<'_>) -> Result<Reply, Errno> {
    const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    retry_when_raced(|| match call {
        Call::OpenAmbient { path } => fs::openat(CWD, *path, DIRECTORY, Mode::empty()),
        Call::OpenDir { dir, name, resolve } => {
            fs::openat2(dir, *name, DIRECTORY, Mode::empty(), resolve_flags(*resolve))
        }
        Call::OpenFile { dir, name, access, resolve } => {
            let access = match access {
                Access::Read => OFlags::RDONLY,
                Access::ReadWrite => OFlags::RDWR,
                Access::Device => OFlags::RDWR | OFlags::EXCL,
            };
            // NONBLOCK, since a hostile fifo must not hang us; it means nothing for regular files.
            let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            fs::openat2(dir, *name, flags, Mode::empty(), resolve_flags(*resolve))
        }
        Call::CreateNew { dir, name, mode } => {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            fs::openat2(dir, *name, flags, permissions(*mode), inside | ResolveFlags::NO_SYMLINKS)
        }
        Call::CreateTemp { dir, mode } => {
            fs::openat(dir, c".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, permissions(*mode))
        }
        Call::ReopenReadOnly { file } => {
            fs::openat(CWD, proc_path(file.as_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        }
        _ => Err(Errno::PROTO),
    })
    .map(Reply::Fd)
}

/// The calls that change names and attributes.
fn change(call: &Call<'_>) -> Result<(), Errno> {
    match call {
        Call::LinkFile { file, dir, name } => link(file, dir, name),
        Call::HardLink { dir, name, to_dir, to_name } => {
            fs::linkat(dir, *name, to_dir, *to_name, AtFlags::empty())
        }
        Call::Rename { dir, name, to_dir, to_name, how } => {
            let flags = match how {
                // renameat(2): what a file system without flags has as well.
                Rename::Replace => return fs::renameat(dir, *name, to_dir, *to_name),
                Rename::NoReplace => RenameFlags::NOREPLACE,
                Rename::Exchange => RenameFlags::EXCHANGE,
            };
            fs::renameat_with(dir, *name, to_dir, *to_name, flags)
        }
        Call::Symlink { target, dir, name } => fs::symlinkat(*target, dir, *name),
        Call::CreateDir { dir, name, mode } => fs::mkdirat(dir, *name, permissions(*mode)),
        Call::RemoveFile { dir, name } => fs::unlinkat(dir, *name, AtFlags::empty()),
        Call::RemoveDir { dir, name } => fs::unlinkat(dir, *name, AtFlags::REMOVEDIR),
        Call::SetFileMode { file, mode } => fs::fchmod(file, permissions(*mode)),
        Call::SetMode { dir, name, mode } => set_mode(dir, name, permissions(*mode)),
        Call::SetOwner { dir, name, uid, gid } => {
            let (uid, gid) = (fs::Uid::from_raw(*uid), fs::Gid::from_raw(*gid));
            fs::chownat(dir, *name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)
        }
        Call::SetTimes { dir, name, mtime } => {
            let time = fs::Timespec { tv_sec: mtime.sec, tv_nsec: mtime.nsec.into() };
            let times = fs::Timestamps { last_access: time, last_modification: time };
            fs::utimensat(dir, *name, &times, AtFlags::SYMLINK_NOFOLLOW)
        }
        Call::MakeNode { dir, name, node, mode } => make_node(dir, name, *node, permissions(*mode)),
        Call::SetXattr { dir, name, key, value } => {
            fs::lsetxattr(proc_child(dir, name), *key, value, XattrFlags::empty())
        }
        Call::RemoveXattr { dir, name, key } => fs::lremovexattr(proc_child(dir, name), *key),
        _ => Err(Errno::PROTO),
    }
}

/// Runs `open` again when a signal or a race stopped it.
///
/// openat2(2): `EAGAIN` says that the kernel could not be sure that a `..` stayed inside, since something was renamed or
/// mounted *anywhere on the machine* meanwhile, and that the caller may try again. It is bounded, as a file that another
/// process holds a lease on answers `EAGAIN` too.
fn retry_when_raced<T>(mut open: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    const TRIES: u32 = 1000;
    for _ in 1..TRIES {
        match retry_on_intr(&mut open) {
            Err(Errno::AGAIN) => std::thread::yield_now(),
            other => return other,
        }
    }
    retry_on_intr(open)
}

fn resolve_flags(resolve: Resolve) -> ResolveFlags {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match resolve {
        Resolve::NoSymlinks => inside | ResolveFlags::NO_SYMLINKS,
        Resolve::Beneath => inside,
        Resolve::InRoot => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    }
}

fn permissions(mode: u16) -> Mode {
    Mode::from_raw_mode(u32::from(mode) & 0o7777)
}

/// The name under which `/proc` shows an open file.
fn proc_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn proc_child(dir: &Dir, name: &Path) -> PathBuf {
    proc_path(dir.as_fd()).join(name)
}

/// `AT_EMPTY_PATH` wants `CAP_DAC_READ_SEARCH` before Linux 6.10 (ENOENT without it); the way through `/proc` wants `/proc`.
fn link(file: &File, dir: &Dir, name: &Path) -> Result<(), Errno> {
    match fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
            fs::linkat(CWD, proc_path(file.as_fd()), dir, name, AtFlags::SYMLINK_FOLLOW)
        }
        other => other,
    }
}

/// chmod of a name without following it: there is no such call before Linux 6.6, so by way of an `O_PATH` descriptor.
fn set_mode(dir: &Dir, name: &Path, mode: Mode) -> Result<(), Errno> {
    if name.as_os_str().is_empty() {
        return fs::fchmod(dir, mode);
    }
    let fd = fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if fs::fstat(&fd).map(|stat| fs::FileType::from_raw_mode(stat.st_mode))? == fs::FileType::Symlink {
        return Err(Errno::OPNOTSUPP);
    }
    fs::chmodat(CWD, proc_path(fd.as_fd()), mode, AtFlags::empty())
}

/// Reads an attribute or the list of them; 64 KiB is the kernel's limit for both (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`), and
/// nearly all are short.
fn xattr(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Reply, Errno> {
    let mut short = [0; 256];
    match read(&mut short) {
        Err(Errno::RANGE) => {}
        len => return Ok(Reply::Bytes(short.get(..len?).unwrap_or_default().to_vec())),
    }
    let mut buffer = vec![0; 64 << 10];
    let len = read(&mut buffer)?;
    buffer.truncate(len);
    Ok(Reply::Bytes(buffer))
}

pub(super) fn make_node(dir: impl AsFd, name: &Path, node: Node, mode: Mode) -> Result<(), Errno> {
    let (kind, device) = match node {
        Node::CharDevice(major, minor) => (fs::FileType::CharacterDevice, fs::makedev(major, minor)),
        Node::BlockDevice(major, minor) => (fs::FileType::BlockDevice, fs::makedev(major, minor)),
        Node::Fifo => (fs::FileType::Fifo, 0),
        Node::Socket => (fs::FileType::Socket, 0),
    };
    fs::mknodat(dir, name, kind, mode, device)
}

fn metadata(fd: BorrowedFd<'_>, name: &Path) -> Result<Reply, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let stat = fs::statx(fd, name, flags, StatxFlags::BASIC_STATS)?;
    Ok(Reply::Metadata(Metadata {
        kind: fs::FileType::from_raw_mode(stat.stx_mode.into()).into(),
        mode: stat.stx_mode & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        allocated: stat.stx_blocks.saturating_mul(512),
        links: stat.stx_nlink,
        inode: stat.stx_ino,
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
        mtime: Timestamp { sec: stat.stx_mtime.tv_sec, nsec: stat.stx_mtime.tv_nsec },
        verity: stat.stx_attributes.contains(fs::StatxAttributes::VERITY),
        mount_root: stat.stx_attributes.contains(fs::StatxAttributes::MOUNT_ROOT),
    }))
}

/// An open device tells its size by where its end is.
fn file_metadata(fd: BorrowedFd<'_>) -> Result<Reply, Errno> {
    let mut reply = metadata(fd, Path::new(""))?;
    if let Reply::Metadata(metadata) = &mut reply
        && metadata.kind == super::FileType::BlockDevice
    {
        metadata.size = fs::seek(fd, fs::SeekFrom::End(0))?;
    }
    Ok(reply)
}

/// A hole in a file, or what a device does by itself (`BLKDEV_ZERO_NOFALLBACK`); else the kernel writes zeros.
fn zero_range(file: &File, offset: u64, len: u64) -> Result<(), Errno> {
    let hole = fs::FallocateFlags::PUNCH_HOLE | fs::FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| fs::fallocate(file, hole, offset, len)) {
        Err(Errno::OPNOTSUPP) => {
            let zero = fs::FallocateFlags::ZERO_RANGE | fs::FallocateFlags::KEEP_SIZE;
            retry_on_intr(|| fs::fallocate(file, zero, offset, len))
        }
        other => other,
    }
}

fn read_dir(dir: &Dir) -> Result<Vec<DirEntry>, Errno> {
    use std::os::unix::ffi::OsStrExt;

    // Opened anew: the position belongs to the descriptor, and ours is shared.
    let fd = fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = Vec::with_capacity(READ_DIR_BUFFER);
    let mut raw = fs::RawDir::new(&fd, buffer.spare_capacity_mut());
    let mut entries = Vec::new();
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == fs::FileType::Unknown {
            kind = fs::FileType::from_raw_mode(
                fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?.st_mode,
            );
        }
        entries.push(DirEntry { name: std::ffi::OsStr::from_bytes(name).to_owned(), kind: kind.into() });
    }
    Ok(entries)
}

fn flock(fd: BorrowedFd<'_>, lock: Lock, wait: Wait) -> Result<(), Errno> {
    let operation = match (lock, wait) {
        (Lock::Shared, Wait::Block) => FlockOperation::LockShared,
        (Lock::Shared, Wait::Try) => FlockOperation::NonBlockingLockShared,
        (Lock::Exclusive, Wait::Block) => FlockOperation::LockExclusive,
        (Lock::Exclusive, Wait::Try) => FlockOperation::NonBlockingLockExclusive,
        (Lock::Unlock, _) => FlockOperation::Unlock,
    };
    retry_on_intr(|| fs::flock(fd, operation))
}

fn copy_range(from: &File, to: &File, offset: u64, len: u64) -> Result<usize, Errno> {
    let (mut in_offset, mut out_offset) = (offset, offset);
    let len = usize::try_from(len).unwrap_or(usize::MAX >> 1);
    retry_on_intr(|| fs::copy_file_range(from, Some(&mut in_offset), to, Some(&mut out_offset), len))
}

/// fs-verity: where the kernel or the file system has none, enabling is EOPNOTSUPP and measuring finds nothing.
fn verity(call: &Call<'_>) -> Result<Reply, Errno> {
    let errno = |error| match error {
        VerityError::Unsupported => Errno::OPNOTSUPP,
        VerityError::AlreadySealed => Errno::EXIST,
        VerityError::NotSealed => Errno::NODATA,
        VerityError::OpenForWriting => Errno::TXTBSY,
        VerityError::ForeignAlgorithm(_) => Errno::NOPKG,
        VerityError::Other(errno) => errno,
    };
    match call {
        Call::EnableVerity { file, algorithm } => {
            verity::enable(file, *algorithm).map(|()| Reply::Done).map_err(errno)
        }
        Call::MeasureVerity { file } => match verity::measure(file) {
            Ok(id) => Ok(Reply::Digest(Some(id))),
            Err(VerityError::NotSealed | VerityError::Unsupported) => Ok(Reply::Digest(None)),
            Err(error) => Err(errno(error)),
        },
        _ => Err(Errno::PROTO),
    }
}

fn space(dir: &Dir) -> Result<Space, Errno> {
    let stat = fs::fstatvfs(dir)?;
    let unit = stat.f_frsize.max(1);
    Ok(Space {
        total: stat.f_blocks.saturating_mul(unit),
        free: stat.f_bfree.saturating_mul(unit),
        available: stat.f_bavail.saturating_mul(unit),
        block: unit,
        free_inodes: stat.f_ffree,
        read_only: stat.f_flag.contains(fs::StatVfsMountFlags::RDONLY),
    })
}

/// The magic number, whose type differs between architectures.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bit pattern of at most 32 bits"
)]
fn magic(stat: &fs::StatFs) -> u64 {
    u64::from(stat.f_type as u32)
}
