//! [`LedgerDisk`]: a disk whose owners, modes, times, attributes and devices are in a book instead of on the file system.
//!
//! For trees that are staged to become a disk image: without root nobody can give a file to another owner, and with root
//! nobody should have to. Content and names are real; all else is remembered by inode and shown as if it were there. Modes
//! are those that were asked for, whatever the umask is; times are the one time of the installation, unless they were set.
//! Nothing is synced: what is staged is thrown away if its maker is killed.
//! Invariant: an inode's entry begins anew when it is made, so that a reused number inherits nothing.

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use super::{Call, Dir, Disk, FileType, Metadata, Node, RealDisk, Reply, Timestamp};

/// What the real files have, so that their maker can always change them.
const REAL_DIR: u16 = 0o700;
const REAL_FILE: u16 = 0o600;

/// What is remembered of an inode.
#[derive(Clone, Debug, Default)]
struct Entry {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: Option<Timestamp>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    node: Option<Node>,
}

type Inode = ((u32, u32), u64);

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<Inode, Entry>,
    /// How many devices were made.
    nodes: usize,
}

/// A disk with a book beside it.
#[derive(Debug)]
pub struct LedgerDisk {
    real: RealDisk,
    time: Timestamp,
    book: Mutex<Book>,
}

impl LedgerDisk {
    /// A disk on which everything is of this time, unless it is told otherwise.
    #[must_use]
    pub fn new(time: Timestamp) -> Arc<Self> {
        Arc::new(Self { real: RealDisk, time, book: Mutex::default() })
    }

    /// What kind of device an inode is, if it is one.
    #[must_use]
    pub fn node(&self, metadata: &Metadata) -> Option<Node> {
        self.book().entries.get(&(metadata.device, metadata.inode)).and_then(|entry| entry.node)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn real(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        self.real.call(call)
    }

    fn metadata(&self, dir: &Dir, name: &Path) -> Result<Metadata, Errno> {
        match self.real(&mut Call::Metadata { dir, name })? {
            Reply::Metadata(metadata) => Ok(metadata),
            _ => Err(Errno::PROTO),
        }
    }

    fn inode(&self, dir: &Dir, name: &Path) -> Result<Inode, Errno> {
        self.metadata(dir, name).map(|metadata| (metadata.device, metadata.inode))
    }

    /// Notes a new inode, of this mode.
    fn begin(&self, inode: Inode, mode: u16, node: Option<Node>) {
        let mut book = self.book();
        book.nodes += usize::from(node.is_some());
        book.entries.insert(inode, Entry { mode, node, ..Entry::default() });
    }

    /// Changes the entry of a name; what was there before is taken as it is.
    fn change(&self, dir: &Dir, name: &Path, change: impl FnOnce(&mut Entry)) -> Result<Reply, Errno> {
        let real = self.metadata(dir, name)?;
        let entry = || Entry { mode: real.mode, ..Entry::default() };
        change(self.book().entries.entry((real.device, real.inode)).or_insert_with(entry));
        Ok(Reply::Done)
    }

    /// A file that was just opened as new.
    fn made(&self, fd: OwnedFd, mode: u16) -> Result<Reply, Errno> {
        let stat = rustix::fs::fstat(fd.as_fd())?;
        let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        self.begin((device, stat.st_ino), mode, None);
        Ok(Reply::Fd(fd))
    }

    /// What the book says of an inode, over what the file system does.
    fn shown(&self, mut metadata: Metadata) -> Metadata {
        (metadata.uid, metadata.gid, metadata.mtime) = (0, 0, self.time);
        let book = self.book();
        let Some(entry) = book.entries.get(&(metadata.device, metadata.inode)) else { return metadata };
        (metadata.mode, metadata.uid, metadata.gid) = (entry.mode, entry.uid, entry.gid);
        metadata.mtime = entry.mtime.unwrap_or(self.time);
        match entry.node {
            Some(Node::BlockDevice(major, minor)) => {
                (metadata.kind, metadata.rdev) = (FileType::BlockDevice, (major, minor));
            }
            Some(Node::CharDevice(major, minor)) => {
                (metadata.kind, metadata.rdev) = (FileType::CharDevice, (major, minor));
            }
            Some(Node::Fifo) => metadata.kind = FileType::Fifo,
            Some(Node::Socket) => metadata.kind = FileType::Socket,
            None => {}
        }
        metadata
    }

    fn create(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match *call {
            Call::CreateNew { dir, name, mode } => {
                match self.real(&mut Call::CreateNew { dir, name, mode: REAL_FILE })? {
                    Reply::Fd(fd) => self.made(fd, mode),
                    _ => Err(Errno::PROTO),
                }
            }
            Call::CreateTemp { dir, mode } => {
                match self.real(&mut Call::CreateTemp { dir, mode: REAL_FILE })? {
                    Reply::Fd(fd) => self.made(fd, mode),
                    _ => Err(Errno::PROTO),
                }
            }
            Call::CreateDir { dir, name, mode } => {
                self.real(&mut Call::CreateDir { dir, name, mode: REAL_DIR })?;
                self.begin(self.inode(dir, name)?, mode, None);
                Ok(Reply::Done)
            }
            Call::Symlink { target, dir, name } => {
                self.real(&mut Call::Symlink { target, dir, name })?;
                self.begin(self.inode(dir, name)?, 0o777, None);
                Ok(Reply::Done)
            }
            Call::MakeNode { dir, name, node, mode } => {
                // An empty file stands for it.
                drop(self.real(&mut Call::CreateNew { dir, name, mode: REAL_FILE })?);
                self.begin(self.inode(dir, name)?, mode, Some(node));
                Ok(Reply::Done)
            }
            _ => Err(Errno::PROTO),
        }
    }

    fn xattr(&self, dir: &Dir, name: &Path, key: &[u8]) -> Result<Vec<u8>, Errno> {
        let inode = self.inode(dir, name)?;
        let book = self.book();
        book.entries.get(&inode).and_then(|entry| entry.xattrs.get(key)).cloned().ok_or(Errno::NODATA)
    }

    fn xattr_keys(&self, dir: &Dir, name: &Path) -> Result<Vec<u8>, Errno> {
        let inode = self.inode(dir, name)?;
        let book = self.book();
        let keys = book.entries.get(&inode).map(|entry| entry.xattrs.keys());
        Ok(keys.into_iter().flatten().flat_map(|key| key.iter().copied().chain([0])).collect())
    }

    /// A folder's names, with the types that the book tells.
    fn read_dir(&self, dir: &Dir) -> Result<Reply, Errno> {
        let Reply::Entries(mut entries) = self.real(&mut Call::ReadDir { dir })? else {
            return Err(Errno::PROTO);
        };
        if self.book().nodes > 0 {
            for entry in entries.iter_mut().filter(|entry| entry.kind == FileType::File) {
                entry.kind = self.shown(self.metadata(dir, Path::new(&entry.name))?).kind;
            }
        }
        Ok(Reply::Entries(entries))
    }
}

impl Disk for LedgerDisk {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match *call {
            Call::CreateNew { .. }
            | Call::CreateTemp { .. }
            | Call::CreateDir { .. }
            | Call::Symlink { .. }
            | Call::MakeNode { .. } => self.create(call),
            Call::Metadata { dir, name } => {
                self.metadata(dir, name).map(|real| Reply::Metadata(self.shown(real)))
            }
            Call::FileMetadata { .. } => match self.real(call)? {
                Reply::Metadata(real) => Ok(Reply::Metadata(self.shown(real))),
                _ => Err(Errno::PROTO),
            },
            Call::ReadDir { dir } => self.read_dir(dir),
            Call::SetMode { dir, name, mode } => self.change(dir, name, |entry| entry.mode = mode & 0o7777),
            Call::SetFileMode { file, mode } => {
                let Reply::Metadata(real) = self.real(&mut Call::FileMetadata { file })? else {
                    return Err(Errno::PROTO);
                };
                self.book().entries.entry((real.device, real.inode)).or_default().mode = mode & 0o7777;
                Ok(Reply::Done)
            }
            Call::SetOwner { dir, name, uid, gid } => {
                self.change(dir, name, |entry| (entry.uid, entry.gid) = (uid, gid))
            }
            Call::SetTimes { dir, name, mtime } => self.change(dir, name, |entry| entry.mtime = Some(mtime)),
            Call::SetXattr { dir, name, key, value } => {
                self.change(dir, name, |entry| drop(entry.xattrs.insert(key.to_vec(), value.to_vec())))
            }
            Call::RemoveXattr { dir, name, key } => {
                self.xattr(dir, name, key)?;
                self.change(dir, name, |entry| drop(entry.xattrs.remove(key)))
            }
            Call::GetXattr { dir, name, key } => self.xattr(dir, name, key).map(Reply::Bytes),
            Call::ListXattrs { dir, name } => self.xattr_keys(dir, name).map(Reply::Bytes),
            Call::SyncFile { .. }
            | Call::SyncDir { .. }
            | Call::SyncFs { .. }
            | Call::EmptyJournal { .. } => Ok(Reply::Done),
            _ => self.real(call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir, time: Timestamp) -> Dir {
        let disk: Arc<dyn Disk> = LedgerDisk::new(time);
        Dir::open(&disk, folder.path()).unwrap()
    }

    #[test]
    fn what_only_root_may_do_is_remembered_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let time = Timestamp { sec: 1_700_000_000, nsec: 5 };
        let dir = open(&folder, time);
        dir.create_new("file", 0o4755).unwrap().write_all_at(0, b"x").unwrap();
        dir.set_owner("file", 12, 34).unwrap();
        dir.set_xattr("file", b"security.capability", b"cap").unwrap();
        dir.make_node("null", Node::CharDevice(1, 3), 0o666).unwrap();
        let file = dir.metadata("file").unwrap();
        assert_eq!((file.uid, file.gid, file.mode, file.mtime), (12, 34, 0o4755, time));
        assert_eq!(dir.xattr_keys("file").unwrap(), [b"security.capability"]);
        assert_eq!(dir.metadata("null").unwrap().rdev, (1, 3));
        assert!(
            dir.read_dir()
                .unwrap()
                .iter()
                .any(|entry| entry.name == "null" && entry.kind == FileType::CharDevice)
        );
        let real = std::fs::symlink_metadata(folder.path().join("null")).unwrap();
        assert!(real.is_file());
        dir.set_mtime("file", Timestamp { sec: 7, nsec: 0 }).unwrap();
        assert_eq!(dir.metadata("file").unwrap().mtime.sec, 7);
    }

    #[test]
    fn a_new_file_inherits_nothing_from_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = open(&folder, Timestamp::default());
        for _ in 0..20 {
            dir.create_new("file", 0o600).unwrap();
            assert_eq!(dir.metadata("file").unwrap().uid, 0);
            assert!(dir.xattr_keys("file").unwrap().is_empty());
            dir.set_owner("file", 9, 9).unwrap();
            dir.set_xattr("file", b"user.x", b"y").unwrap();
            dir.remove_file("file").unwrap();
        }
    }

    #[test]
    fn modes_that_forbid_writing_do_not_stop_their_maker() {
        let folder = tempfile::tempdir().unwrap();
        let dir = open(&folder, Timestamp::default());
        let closed = dir.ensure_dir("closed", 0o500).unwrap();
        closed.create_new("file", 0o400).unwrap();
        assert_eq!(dir.metadata("closed").unwrap().mode, 0o500);
    }
}
