//! A folder of the disk as a tree: what the machine made of its `/etc`, or the files of an image.
//!
//! What lives here: the walk, with owners, modes, attributes and links. What does not: contents (`contents.rs`), writing.
//! Invariants: symlinks are never followed; other file systems mounted below are not entered; memory is that of the tree
//! and a batch of small files, whatever size files have. Files may change meanwhile: what is found counts.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use rustix::io::Errno;
use sealstone_import::tar::Device;
use sealstone_store::{
    Algorithm, Control, Optional,
    disk::{self, Dir, DirEntry},
    tree::{Content, InodeId, Metadata, Timestamp, Tree, XattrSet},
};

use super::{
    contents::Contents,
    report::{Ignored, shown},
};
use crate::{DeployError, selinux::SELINUX_XATTR};

/// The longest path below the folder, in bytes: less than the kernel's `PATH_MAX`, since files are opened by it.
const PATH_BYTES: usize = 3800;

/// How deep folders may lie in each other: each open one is a descriptor.
const DEPTH: usize = 200;

/// Whether devices, fifos and sockets take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Specials {
    /// No: they are of the machine's making.
    Ignore,
    /// Yes, as in an image.
    Keep,
}

/// What was found.
pub(crate) struct Scan {
    /// The folder, as the root.
    pub tree: Tree,
    /// What takes no part, by its path from the folder on, which begins with a slash.
    pub ignored: BTreeMap<Vec<u8>, Ignored>,
}

/// Reads a folder.
pub(crate) fn scan(
    folder: &Dir,
    algorithm: Algorithm,
    specials: Specials,
    control: &Control,
) -> Result<Scan, DeployError> {
    let own = folder.own_metadata()?;
    let mut scanner = Scanner {
        scan: Scan { tree: Tree::new(metadata(&own)), ignored: BTreeMap::new() },
        device: own.device,
        links: HashMap::new(),
        specials,
        contents: Contents::new(algorithm),
    };
    let root = scanner.scan.tree.root();
    scanner.attributes(folder, "", root)?;
    let mut open = vec![Open::new(folder.clone(), root, Vec::new())?];
    while let Some(top) = open.last_mut() {
        control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
        let Some(entry) = top.entries.pop() else {
            open.pop();
            continue;
        };
        let path = [&top.path, b"/".as_slice(), entry.name.as_bytes()].concat();
        let (dir, into) = (top.dir.clone(), top.inode);
        if path.len() > PATH_BYTES {
            let (what, size) = (format!("path {}", shown(&path)), path.len() as u64);
            return Err(DeployError::TooBig { what, size, limit: PATH_BYTES as u64 });
        }
        if open.len() > DEPTH {
            let reason = format!("more than {DEPTH} folders in each other");
            return Err(DeployError::Invalid { what: "folder to merge", text: shown(&path), reason });
        }
        open.extend(scanner.entry((&dir, into), &entry, path)?);
    }
    scanner.contents.finish(&mut scanner.scan.tree);
    Ok(scanner.scan)
}

struct Open {
    dir: Dir,
    inode: InodeId,
    path: Vec<u8>,
    /// What is still to be looked at, the first name last.
    entries: Vec<DirEntry>,
}

impl Open {
    fn new(dir: Dir, inode: InodeId, path: Vec<u8>) -> Result<Self, DeployError> {
        let mut entries = dir.read_dir()?;
        entries.sort_by(|a, b| b.name.cmp(&a.name));
        Ok(Self { dir, inode, path, entries })
    }
}

struct Scanner {
    scan: Scan,
    device: (u32, u32),
    /// Files with several names, by their inode's number on the disk.
    links: HashMap<u64, InodeId>,
    specials: Specials,
    contents: Contents,
}

impl Scanner {
    /// Adds an entry, and returns it if it is a folder to look into. What vanished meanwhile is not there.
    fn entry(
        &mut self,
        (dir, into): (&Dir, InodeId),
        entry: &DirEntry,
        path: Vec<u8>,
    ) -> Result<Option<Open>, DeployError> {
        let Some(found) = dir.metadata(&entry.name).optional()? else { return Ok(None) };
        if found.mount_root || found.device != self.device {
            self.scan.ignored.insert(path, Ignored::MountPoint);
            return Ok(None);
        }
        if found.kind != disk::FileType::Directory
            && let Some(known) = self.links.get(&found.inode)
        {
            self.scan.tree.link(into, entry.name.as_bytes(), *known)?;
            return Ok(None);
        }
        let made = match self.content(dir, &entry.name, &found) {
            Ok(Some(made)) => made,
            Ok(None) => {
                self.scan.ignored.insert(path, Ignored::Special);
                return Ok(None);
            }
            Err(DeployError::Store(error)) if error.is_missing() => return Ok(None),
            Err(DeployError::Store(error)) if error.errno() == Some(Errno::ACCESS) => {
                self.scan.ignored.insert(path, Ignored::Unreadable);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.attributes(dir, &entry.name, made)?;
        self.scan.tree.link(into, entry.name.as_bytes(), made)?;
        if found.kind == disk::FileType::Directory {
            return Ok(Some(Open::new(dir.open_dir(&entry.name)?, made, path)?));
        }
        if found.links > 1 {
            self.links.insert(found.inode, made);
        }
        Ok(None)
    }

    /// The inode for a name, without attributes; `None` for what takes no part.
    fn content(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        found: &disk::Metadata,
    ) -> Result<Option<InodeId>, DeployError> {
        let (metadata, none) = (metadata(found), XattrSet::EMPTY);
        let tree = &mut self.scan.tree;
        Ok(Some(match found.kind {
            disk::FileType::Directory => {
                // Opened here, so that one that may not be read is told from one that may.
                drop(dir.open_dir(name)?);
                tree.add(metadata, Content::Directory, none)?
            }
            disk::FileType::Symlink => {
                let target = dir.read_link(name)?.into_os_string().into_vec();
                tree.add(metadata, Content::Symlink(&target), none)?
            }
            disk::FileType::File => self.contents.add(tree, &dir.open_file(name)?, metadata)?,
            kind => match self.special(kind, found.rdev) {
                Some(content) => self.scan.tree.add(metadata, content, none)?,
                None => return Ok(None),
            },
        }))
    }

    /// What is no file, folder or symlink, if it takes part.
    fn special(&self, kind: disk::FileType, (major, minor): (u32, u32)) -> Option<Content<'static>> {
        let number = || Device::new(major.into(), minor.into()).map(Device::number);
        match (self.specials, kind) {
            (Specials::Keep, disk::FileType::CharDevice) => number().map(Content::CharDevice),
            (Specials::Keep, disk::FileType::BlockDevice) => number().map(Content::BlockDevice),
            (Specials::Keep, disk::FileType::Fifo) => Some(Content::Fifo),
            (Specials::Keep, disk::FileType::Socket) => Some(Content::Socket),
            _ => None,
        }
    }

    /// Reads the extended attributes of a name, where the file system has such.
    fn attributes(&mut self, dir: &Dir, name: impl AsRef<OsStr>, inode: InodeId) -> Result<(), DeployError> {
        let name = name.as_ref();
        let keys = match dir.xattr_keys(name) {
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => return Ok(()),
            keys => keys?,
        };
        let mut pairs = Vec::with_capacity(keys.len());
        for key in keys {
            match dir.xattr(name, &key) {
                // Gone again, or shown to nobody but root.
                Err(error) if matches!(error.errno(), Some(Errno::NODATA | Errno::PERM | Errno::ACCESS)) => {}
                Ok(mut label) if key == SELINUX_XATTR => {
                    // libselinux writes the end of the string along, and an image's labels have none.
                    label.truncate(label.iter().position(|byte| *byte == 0).unwrap_or(label.len()));
                    pairs.push((key, label));
                }
                value => pairs.push((key, value?)),
            }
        }
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let set = self.scan.tree.intern_xattrs(&pairs)?;
        self.scan.tree.set_xattrs(inode, set);
        Ok(())
    }
}

const fn metadata(found: &disk::Metadata) -> Metadata {
    let mtime = Timestamp { sec: found.mtime.sec, nsec: found.mtime.nsec };
    Metadata { mode: found.mode, uid: found.uid, gid: found.gid, mtime }
}
