//! [`PowerCutDisk`]: passes calls on, remembers them, and makes the folders that a power cut could have left behind.
//!
//! The model is harsher than any journal: each change that no sync covers is there, missing or (data) torn, each on its
//! own. A sync of a file covers its content, a sync of a directory the names in it, a sync of the file system everything
//! before it. On FAT (see [`PowerCutDisk::on_fat`]) a new name shows an empty file until the *file* is synced after it; one
//! that a rename took over shows the old file until then, of which the end is lost if nobody had it open.
//! Owners, times and extended attributes are not modelled.

mod model;

use std::{
    ffi::OsString,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{Log, NodeId, Op, Payload};
use rustix::io::Errno;

use super::{Call, Dir, Disk, File, Node, Rename, Reply};

/// What becomes of the changes that no sync covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All are on the disk.
    AllLand,
    /// None is.
    NoneLands,
    /// Each is, is not, or is torn, by a generator with this seed.
    Seeded(u64),
}

/// A disk whose power can be cut after any of its calls.
pub struct PowerCutDisk {
    inner: Arc<dyn Disk>,
    log: Mutex<Log>,
}

impl PowerCutDisk {
    /// Watches the folder `root`, whose present content counts as durable. Changes outside of it must not be made.
    ///
    /// # Panics
    /// When the folder cannot be read.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, root: &Path) -> Arc<Self> {
        Arc::new(Self { inner, log: Mutex::new(Log::new(root, false)) })
    }

    /// The same with FAT's weaknesses: names without content, and a sync of the file system that reaches no disk.
    ///
    /// # Panics
    /// When the folder cannot be read.
    #[must_use]
    pub fn on_fat(inner: Arc<dyn Disk>, root: &Path) -> Arc<Self> {
        Arc::new(Self { inner, log: Mutex::new(Log::new(root, true)) })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many changes and syncs there were: a power cut can come before each of them, and after the last.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log().ops.len()
    }

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the folder `into`, which must not exist, as it is found after a power cut that came when the first `point`
    /// changes and syncs had been made.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn materialise(&self, point: usize, fate: Fate, into: &Path) {
        self.log().materialise(point, fate, into);
    }

    fn inode(&self, dir: &Dir, name: &Path) -> Result<u64, Errno> {
        match self.inner.call(&mut Call::Metadata { dir, name })? {
            Reply::Metadata(metadata) => Ok(metadata.inode),
            _ => Err(Errno::PROTO),
        }
    }

    fn node_of_file(&self, log: &mut Log, file: &File) -> Result<NodeId, Errno> {
        match self.inner.call(&mut Call::FileMetadata { file })? {
            Reply::Metadata(metadata) => Ok(log.node(metadata.inode)),
            _ => Err(Errno::PROTO),
        }
    }

    /// All of a file. Past the log, which is locked while a call is made.
    fn content(&self, file: &File) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let mut call = Call::Read { file, offset: bytes.len() as u64, buffer: &mut buffer };
            let Reply::Count(count) = self.inner.call(&mut call)? else { return Err(Errno::PROTO) };
            if count == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    /// The directory that holds the last part of the name, and that part.
    fn place(&self, log: &mut Log, dir: &Dir, name: &Path) -> Result<(NodeId, OsString), Errno> {
        let parent = self.inode(dir, name.parent().unwrap_or_else(|| Path::new("")))?;
        Ok((log.node(parent), name.file_name().unwrap_or_default().to_owned()))
    }

    /// The change that a call that succeeds is about to make, as far as it is known before.
    fn before(&self, log: &mut Log, call: &Call<'_>) -> Result<Option<Op>, Errno> {
        Ok(Some(match call {
            Call::RemoveFile { dir, name } | Call::RemoveDir { dir, name } => {
                Op::Unlink { at: self.place(log, dir, name)? }
            }
            Call::Rename { dir, name, to_dir, to_name, how } => {
                let moved = self.inode(dir, name)?;
                let other = match how {
                    Rename::Exchange => Some(self.inode(to_dir, to_name)?),
                    _ => None,
                };
                let (from, to) = (self.place(log, dir, name)?, self.place(log, to_dir, to_name)?);
                let replaced = match how {
                    Rename::Replace => self.inode(to_dir, to_name).ok(),
                    _ => None,
                };
                let replaced = replaced.map(|old| (log.node(old), is_open(old)));
                let (node, exchanged) = (log.node(moved), other.map(|inode| log.node(inode)));
                Op::Rename { from, to, node, exchanged, replaced }
            }
            Call::Write { file, offset, bytes } => {
                let node = self.node_of_file(log, file)?;
                Op::Write { node, offset: *offset, bytes: bytes.to_vec() }
            }
            Call::ZeroRange { file, offset, len } => {
                let bytes = vec![0; usize::try_from(*len).unwrap_or_default()];
                Op::Write { node: self.node_of_file(log, file)?, offset: *offset, bytes }
            }
            Call::SetLen { file, len } => Op::SetLen { node: self.node_of_file(log, file)?, len: *len },
            Call::SyncFile { file } => Op::SyncFile { node: self.node_of_file(log, file)? },
            Call::SyncDir { dir } => {
                let inode = self.inode(dir, Path::new(""))?;
                Op::SyncDir { dir: log.node(inode) }
            }
            Call::SyncFs { .. } | Call::EmptyJournal { .. } => Op::SyncFs,
            _ => return Ok(None),
        }))
    }

    /// The changes that a call has made.
    fn after(&self, log: &mut Log, call: &Call<'_>, reply: &Reply) -> Result<(), Errno> {
        match call {
            Call::CreateTemp { mode, .. } => {
                let Reply::Fd(fd) = reply else { return Err(Errno::PROTO) };
                log.create(rustix::fs::fstat(fd)?.st_ino, Payload::File { mode: *mode });
            }
            Call::CreateNew { dir, name, mode } => {
                let node = log.create(self.inode(dir, name)?, Payload::File { mode: *mode });
                let at = self.place(log, dir, name)?;
                log.ops.push(Op::Link { at, node });
            }
            Call::CreateDir { dir, name, mode } => {
                let node = log.create(self.inode(dir, name)?, Payload::Directory { mode: *mode });
                let at = self.place(log, dir, name)?;
                log.ops.push(Op::Link { at, node });
            }
            Call::Symlink { target, dir, name } => {
                let node = log.create(self.inode(dir, name)?, Payload::Symlink(target.to_path_buf()));
                let at = self.place(log, dir, name)?;
                log.ops.push(Op::Link { at, node });
            }
            Call::MakeNode { dir, name, node, mode } => {
                let node = log.create(self.inode(dir, name)?, Payload::Node { node: *node, mode: *mode });
                let at = self.place(log, dir, name)?;
                log.ops.push(Op::Link { at, node });
            }
            Call::LinkFile { file, dir, name } => {
                let node = self.node_of_file(log, file)?;
                let at = self.place(log, dir, name)?;
                log.ops.push(Op::Link { at, node });
            }
            Call::HardLink { dir, name, to_dir, to_name } => {
                let inode = self.inode(dir, name)?;
                let (node, at) = (log.node(inode), self.place(log, to_dir, to_name)?);
                log.ops.push(Op::Link { at, node });
            }
            Call::Reflink { to, .. } => {
                let node = self.node_of_file(log, to)?;
                let bytes = self.content(to)?;
                log.ops.push(Op::Write { node, offset: 0, bytes });
            }
            Call::CopyRange { to, offset, .. } => {
                let node = self.node_of_file(log, to)?;
                let mut bytes = self.content(to)?;
                let start = bytes.len().min(usize::try_from(*offset).unwrap_or(usize::MAX));
                log.ops.push(Op::Write { node, offset: *offset, bytes: bytes.split_off(start) });
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether this process has a file with this inode number open: FAT gives its clusters back only when nobody has.
fn is_open(inode: u64) -> bool {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    open.flatten().any(|fd| std::fs::metadata(fd.path()).is_ok_and(|file| file.ino() == inode))
}

impl Disk for PowerCutDisk {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        // One call at a time, so that the order of the log is the order on the disk.
        let mut log = self.log();
        // What cannot be known before a call that then fails is not needed.
        let op = self.before(&mut log, call).unwrap_or_default();
        let reply = self.inner.call(call)?;
        if let (Some(Op::Write { bytes, .. }), Reply::Count(count)) = (&op, &reply) {
            assert_eq!(bytes.len(), *count, "short writes are not modelled");
        }
        log.ops.extend(op);
        self.after(&mut log, call, &reply)?;
        Ok(reply)
    }
}
