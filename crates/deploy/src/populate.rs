//! Copying a folder of an image to the disk: what `/etc` and the first `/var` of a deployment are made of.
//!
//! What lives here: content, mode, owner, extended attributes, times, symlinks, hardlinks and nodes of a subtree. What
//! does not: where it goes and when it counts (`apply.rs`); nothing here syncs.
//! Invariants: the target was empty; nothing outside it is touched; no object is held whole. Without root, what only
//! root may do (other owners, devices, `security.*` attributes) is left out, and counted.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use sealstone_store::{
    Control, ObjectId, Optional, Repository,
    disk::{Dir, Node, Timestamp},
    tree::{Content, FileType, InodeId, Metadata, Tree},
};

use crate::DeployError;

/// What was written, and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Populated {
    /// Files of all kinds, folders included.
    pub files: u64,
    /// The content of regular files, in bytes.
    pub bytes: u64,
    /// Bytes of those whose blocks are shared with the repository's objects, so that they were not written.
    pub shared_bytes: u64,
    /// Files whose owner could not be set (this needs root).
    pub without_owner: u64,
    /// Extended attributes that could not be set.
    pub without_attributes: u64,
    /// Devices that could not be made.
    pub without_node: u64,
}

impl Populated {
    /// Whether all of it is as in the image.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.without_owner + self.without_attributes + self.without_node == 0
    }

    /// The two counts together.
    pub(crate) const fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.shared_bytes += other.shared_bytes;
        self.without_owner += other.without_owner;
        self.without_attributes += other.without_attributes;
        self.without_node += other.without_node;
    }
}

/// Where the contents of files are that are not in the tree itself.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// The objects.
    pub repository: &'a Repository,
    /// Files that are copied from a folder of the disk, by path in it.
    pub local: Option<(&'a Dir, &'a HashMap<InodeId, PathBuf>)>,
}

/// Makes `name` in a directory, where nothing has that name: a copy of the tree's `folder` with all in it.
///
/// # Errors
/// [`sealstone_store::Error::NoSpace`], [`sealstone_store::Error::Corrupt`] for a damaged object, and the disk's;
/// [`DeployError::Changed`] when a file that was to be copied is gone.
pub fn populate(
    tree: &Tree,
    folder: InodeId,
    contents: Contents<'_>,
    (parent, name): (&Dir, &str),
    control: &Control,
) -> Result<Populated, DeployError> {
    let linked = linked(tree, folder);
    let mut work = Work { tree, contents, root: parent, done: Populated::default(), linked };
    let mut open = vec![Open::new(tree, folder, parent.clone(), name.into())?];
    while let Some(top) = open.last_mut() {
        control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
        if let Some((name, inode)) = top.children.next() {
            let path = top.path.join(OsStr::from_bytes(&name));
            if tree.file_type(inode) == FileType::Directory {
                let dir = top.dir.clone();
                open.push(Open::new(tree, inode, dir, path)?);
            } else {
                work.leaf(&top.dir, &path, inode)?;
            }
            continue;
        }
        // A folder's attributes come last: its time changes with its content, its mode may forbid that.
        let Some(done) = open.pop() else { break };
        work.attributes(&done.parent, file_name(&done.path), done.folder)?;
        work.done.files += 1;
    }
    Ok(work.done)
}

/// The names and bytes that [`populate`] would write: files of all kinds, and their content in whole blocks.
#[must_use]
pub fn measure(tree: &Tree, folder: InodeId, block: u64) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    let mut seen = std::collections::HashSet::new();
    let mut walk = tree.walk_from(folder, b"/");
    while let Some((_, inode)) = walk.next_entry() {
        if !seen.insert(inode) {
            continue;
        }
        files += 1;
        bytes += match tree.content(inode) {
            Content::Directory => block,
            Content::Inline(content) => (content.len() as u64).next_multiple_of(block.max(1)),
            Content::External { size, .. } => size.next_multiple_of(block.max(1)),
            _ => 0,
        };
    }
    (files, bytes)
}

/// The inodes with several names, for which the first that is written is noted.
fn linked(tree: &Tree, folder: InodeId) -> HashMap<InodeId, Option<PathBuf>> {
    let counts = tree.link_counts();
    let mut linked = HashMap::new();
    let mut walk = tree.walk_from(folder, b"/");
    while let Some((_, inode)) = walk.next_entry() {
        if counts.get(inode.index()).is_some_and(|count| *count > 1) {
            linked.insert(inode, None);
        }
    }
    linked
}

/// A folder that is being filled.
struct Open {
    folder: InodeId,
    parent: Dir,
    dir: Dir,
    /// From the directory that everything is made in.
    path: PathBuf,
    children: std::vec::IntoIter<(Vec<u8>, InodeId)>,
}

impl Open {
    fn new(tree: &Tree, folder: InodeId, parent: Dir, path: PathBuf) -> Result<Self, DeployError> {
        parent.create_dir(file_name(&path), 0o700)?;
        let dir = parent.open_dir(file_name(&path))?;
        let children: Vec<_> = tree.entries(folder).map(|(name, inode)| (name.to_vec(), inode)).collect();
        Ok(Self { folder, parent, dir, path, children: children.into_iter() })
    }
}

fn file_name(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}

struct Work<'a> {
    tree: &'a Tree,
    contents: Contents<'a>,
    root: &'a Dir,
    done: Populated,
    linked: HashMap<InodeId, Option<PathBuf>>,
}

impl Work<'_> {
    fn leaf(&mut self, dir: &Dir, path: &Path, inode: InodeId) -> Result<(), DeployError> {
        let name = file_name(path);
        match self.linked.get_mut(&inode) {
            Some(Some(first)) => return Ok(self.root.hard_link(&*first, dir, name)?),
            Some(first) => *first = Some(path.to_owned()),
            None => {}
        }
        let node = |kind: fn(u32, u32) -> Node, number: u32| {
            kind(rustix::fs::major(number.into()), rustix::fs::minor(number.into()))
        };
        match self.tree.content(inode) {
            Content::Inline(bytes) => {
                dir.create_new(name, self.first_mode(inode))?.write_all_at(0, bytes)?;
                self.done.bytes += bytes.len() as u64;
            }
            Content::External { object, .. } => self.body(dir, name, inode, &object)?,
            Content::Symlink(target) => dir.symlink(OsStr::from_bytes(target), name)?,
            Content::CharDevice(number) => {
                return self.node(dir, name, inode, node(Node::CharDevice, number));
            }
            Content::BlockDevice(number) => {
                return self.node(dir, name, inode, node(Node::BlockDevice, number));
            }
            Content::Fifo => return self.node(dir, name, inode, Node::Fifo),
            Content::Socket => return self.node(dir, name, inode, Node::Socket),
            // The walk goes into directories.
            Content::Directory => {}
        }
        self.done.files += 1;
        self.attributes(dir, name, inode)
    }

    /// What a file is made with: its own mode, which mostly need not be set then, as far as that lets us write it.
    fn first_mode(&self, inode: InodeId) -> u16 {
        (self.tree.metadata(inode).mode & 0o777) | 0o600
    }

    /// The content of a file that is not in the tree, from the disk or from the store.
    fn body(&mut self, dir: &Dir, name: &Path, inode: InodeId, object: &ObjectId) -> Result<(), DeployError> {
        let file = dir.create_new(name, self.first_mode(inode))?;
        if let Some((folder, paths)) = self.contents.local
            && let Some(path) = paths.get(&inode)
        {
            let from = folder.open_file(path).optional()?.ok_or(DeployError::Changed)?;
            self.done.bytes += file.copy_from(&from)?;
            return Ok(());
        }
        let copied = self.contents.repository.write_object_to(object, &file)?;
        self.done.bytes += copied.bytes;
        self.done.shared_bytes += if copied.is_shared { copied.bytes } else { 0 };
        Ok(())
    }

    fn node(&mut self, dir: &Dir, name: &Path, inode: InodeId, node: Node) -> Result<(), DeployError> {
        match dir.make_node(name, node, 0o600) {
            Err(error) if needs_root(&error) => self.done.without_node += 1,
            made => {
                made?;
                self.done.files += 1;
                self.attributes(dir, name, inode)?;
            }
        }
        Ok(())
    }

    /// Owner, extended attributes, mode and time of a name, in this order: a new owner clears capabilities and set-id
    /// bits, a mode may forbid attributes, and each of them changes the time.
    fn attributes(&mut self, dir: &Dir, name: &Path, inode: InodeId) -> Result<(), DeployError> {
        let Metadata { mode, uid, gid, mtime } = self.tree.metadata(inode);
        let own = dir.metadata(name)?;
        if (own.uid, own.gid) != (uid, gid) {
            match dir.set_owner(name, uid, gid) {
                Err(error) if needs_root(&error) => self.done.without_owner += 1,
                other => other?,
            }
        }
        let mut is_as_made = own.mode == mode;
        for (key, value) in self.tree.xattrs(inode) {
            // An access control list changes the group's permissions.
            is_as_made &= !key.starts_with(b"system.");
            match dir.set_xattr(name, key, value) {
                Err(error) if needs_root(&error) || error.errno() == Some(Errno::OPNOTSUPP) => {
                    self.done.without_attributes += 1;
                }
                other => other?,
            }
        }
        // A new owner takes no permission away but for what a file is not made with: set-id bits.
        if self.tree.file_type(inode) != FileType::Symlink && !is_as_made {
            dir.set_mode(name, mode)?;
        }
        Ok(dir.set_mtime(name, Timestamp { sec: mtime.sec, nsec: mtime.nsec })?)
    }
}

fn needs_root(error: &sealstone_store::Error) -> bool {
    matches!(error.errno(), Some(Errno::PERM | Errno::ACCESS))
}
