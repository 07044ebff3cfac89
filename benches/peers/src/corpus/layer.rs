//! Turns files of a tree into a layer's tar stream.
//!
//! Lives here: headers, hardlinks, whiteouts, PAX records. Not here: which paths belong into a layer. Invariant:
//! every folder that a layer's entries need is either in the layer or in a lower one, as real builders do it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{lgetxattr, llistxattr};
use tar::{Builder, EntryType, Header};

use super::snapshot::Difference;

/// A layer's tar stream, entry by entry.
pub struct LayerTar<W: Write> {
    tar: Builder<W>,
    /// First path of each inode with several links, by (device, inode).
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> LayerTar<W> {
    /// Starts a layer.
    pub fn new(to: W) -> Self {
        Self { tar: Builder::new(to), links: HashMap::new() }
    }

    /// Adds what changed in the tree under `root`: its entries, and a whiteout for each removed path.
    pub fn difference(&mut self, root: &Path, difference: &Difference) -> Result<()> {
        let mut removed = difference.removed.iter().peekable();
        for path in &difference.changed {
            while let Some(gone) = removed.next_if(|gone| *gone < path) {
                self.whiteout(gone)?;
            }
            self.copy_from_disk(root, path, path)?;
        }
        removed.try_for_each(|gone| self.whiteout(gone))
    }

    /// Adds `path` of the tree under `root`, named `name` in the layer.
    pub fn copy_from_disk(&mut self, root: &Path, path: &Path, name: &Path) -> Result<()> {
        let full = root.join(path);
        let metadata = fs::symlink_metadata(&full).with_context(|| format!("stat {}", full.display()))?;
        let kind = metadata.file_type();
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(u64::from(metadata.uid()));
        header.set_gid(u64::from(metadata.gid()));
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(0);
        if !kind.is_dir() && metadata.nlink() > 1 {
            let first = self.links.entry((metadata.dev(), metadata.ino())).or_insert_with(|| name.to_owned());
            if first.as_path() != name {
                header.set_entry_type(EntryType::Link);
                return Ok(self.tar.append_link(&mut header, name, first.as_path())?);
            }
        }
        self.xattrs(&full)?;
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(&full).with_context(|| format!("read {}", full.display()))?;
            self.tar.append_link(&mut header, name, target)?;
        } else if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            let mut folder = name.as_os_str().to_owned();
            folder.push("/");
            self.tar.append_data(&mut header, folder, std::io::empty())?;
        } else if kind.is_file() {
            header.set_entry_type(EntryType::Regular);
            header.set_size(metadata.len());
            let file = File::open(&full).with_context(|| format!("open {}", full.display()))?;
            self.tar.append_data(&mut header, name, file)?;
        }
        Ok(())
    }

    /// Adds a file with the given contents.
    pub fn file(&mut self, name: &Path, contents: &[u8]) -> Result<()> {
        let mut header = synthetic(EntryType::Regular, 0o644);
        header.set_size(contents.len() as u64);
        Ok(self.tar.append_data(&mut header, name, contents)?)
    }

    /// Adds a folder.
    pub fn folder(&mut self, name: &Path) -> Result<()> {
        let mut path = name.as_os_str().to_owned();
        path.push("/");
        Ok(self.tar.append_data(&mut synthetic(EntryType::Directory, 0o755), path, std::io::empty())?)
    }

    /// Adds a file of `size` bytes that are read from `contents`.
    pub fn large_file(&mut self, name: &Path, size: u64, contents: impl std::io::Read) -> Result<()> {
        let mut header = synthetic(EntryType::Regular, 0o644);
        header.set_size(size);
        Ok(self.tar.append_data(&mut header, name, contents)?)
    }

    /// Adds a hardlink named `name` to `target`.
    pub fn hardlink(&mut self, name: &Path, target: &Path) -> Result<()> {
        Ok(self.tar.append_link(&mut synthetic(EntryType::Link, 0o644), name, target)?)
    }

    /// Adds a symlink named `name` with the text `target`.
    pub fn symlink(&mut self, name: &Path, target: &Path) -> Result<()> {
        Ok(self.tar.append_link(&mut synthetic(EntryType::Symlink, 0o777), name, target)?)
    }

    /// Removes `path` of the lower layers.
    pub fn whiteout(&mut self, path: &Path) -> Result<()> {
        let mut name = b".wh.".to_vec();
        name.extend_from_slice(path.file_name().context("a removed path has a name")?.as_bytes());
        self.file(&path.with_file_name(std::ffi::OsStr::from_bytes(&name)), &[])
    }

    /// Hides what the lower layers have in `folder`.
    pub fn opaque(&mut self, folder: &Path) -> Result<()> {
        self.file(&folder.join(".wh..wh..opq"), &[])
    }

    /// Ends the stream.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.tar.finish()?)
    }

    fn xattrs(&mut self, path: &Path) -> Result<()> {
        let mut names = vec![0; 4096];
        let length =
            llistxattr(path, &mut names[..]).with_context(|| format!("xattrs of {}", path.display()))?;
        let mut records = Vec::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; 4096];
            let length = lgetxattr(path, name, &mut value[..])?;
            value.truncate(length);
            records.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value));
        }
        if records.is_empty() {
            return Ok(());
        }
        let records = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        Ok(self.tar.append_pax_extensions(records)?)
    }
}

fn synthetic(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(0);
    header
}
