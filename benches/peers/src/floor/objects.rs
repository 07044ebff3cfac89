//! Writes objects into `objects/XX/REST`, each once.
//!
//! The set of what is there is in memory: the floor starts with an empty folder. A file is made nameless and then
//! linked, as a store must that never shows half an object.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use sealstone_store::ObjectId;

/// An empty store that fills up.
pub struct Objects {
    folders: Vec<OwnedFd>,
    known: Mutex<HashSet<ObjectId>>,
    count: AtomicU64,
    bytes: AtomicU64,
    is_dry: bool,
}

impl Objects {
    /// Makes the 256 folders under `root`. A dry store only counts.
    pub fn create(root: &Path, is_dry: bool) -> Result<Self> {
        let mut folders = Vec::with_capacity(256);
        for number in 0..256 {
            let folder = root.join(format!("objects/{number:02x}"));
            std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
            folders.push(File::open(&folder).context("open an object folder")?.into());
        }
        let (count, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { folders, known: Mutex::default(), count, bytes, is_dry })
    }

    /// Writes an object unless it is there.
    pub fn put(&self, id: ObjectId, bytes: &[u8]) -> Result<()> {
        if !self.is_new(id, bytes.len() as u64) {
            return Ok(());
        }
        let name = id.to_hex();
        let mut file = self.temporary(&name)?;
        file.write_all(bytes).context("write an object")?;
        self.publish(&file, &name)
    }

    /// A nameless file for an object whose id is not known yet.
    pub fn begin(&self) -> Result<File> {
        self.temporary("00")
    }

    /// Names a file from [`begin`](Self::begin), or drops it if the object is there.
    pub fn end(&self, id: ObjectId, file: &File, size: u64) -> Result<()> {
        if self.is_new(id, size) { self.publish(file, &id.to_hex()) } else { Ok(()) }
    }

    /// How many objects there are, and their bytes.
    pub fn totals(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.folders[0]).context("sync the file system")
    }

    fn is_new(&self, id: ObjectId, size: u64) -> bool {
        let is_new = self.known.lock().is_ok_and(|mut known| known.insert(id));
        if is_new {
            self.count.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(size, Ordering::Relaxed);
        }
        is_new && !self.is_dry
    }

    fn folder(&self, name: &str) -> Result<&OwnedFd> {
        let number = usize::from_str_radix(&name[..2], 16)?;
        Ok(&self.folders[number])
    }

    fn temporary(&self, name: &str) -> Result<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.folder(name)?, ".", flags, Mode::from_raw_mode(0o644));
        Ok(file.context("open a nameless file")?.into())
    }

    fn publish(&self, file: &File, name: &str) -> Result<()> {
        if self.is_dry {
            return Ok(());
        }
        let from = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        let folder = self.folder(name)?;
        rustix::fs::linkat(CWD, &*from, folder, &name[2..], AtFlags::SYMLINK_FOLLOW).context("name an object")
    }
}
