//! The inodes of a staged tree, numbered: what a file system will hold, before a byte of it is written.
//!
//! What lives here: the walk, in the order of names, so that equal trees give equal numbers. What does not: contents.
//! Memory: one entry an inode, and their names; depth is bounded by the heap.

use std::{collections::HashMap, os::unix::ffi::OsStrExt};

use sealstone_store::{
    Algorithm, Error, ObjectId,
    disk::{Dir, FileType, LedgerDisk, Metadata, Node as Device},
};

use super::format::{FIRST_FREE_INODE, ROOT_INODE};
use crate::DeployError;

/// Extended attributes: keys and values.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The longest name (`EXT4_NAME_LEN`).
const NAME_MAX: usize = 255;

/// That a file gets fs-verity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::install) struct Sealing {
    pub(in crate::install) algorithm: Algorithm,
    /// The digest that the content has to have, if that is known.
    pub(in crate::install) id: Option<ObjectId>,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder(Vec<(Vec<u8>, usize)>),
    File(Option<Sealing>),
    Symlink(Vec<u8>),
    Device(Device),
}

/// One inode.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) metadata: Metadata,
    pub(super) xattrs: Xattrs,
    /// How many names it has; folders: with their own and those of the folders in them.
    pub(super) links: u32,
    /// The folder that it is in, for folders.
    pub(super) parent: usize,
    /// The path from the root, by which it is opened.
    pub(super) path: Vec<u8>,
}

/// All inodes of a tree; the root is the first.
#[derive(Clone, Debug)]
pub(in crate::install) struct Nodes(pub(super) Vec<Node>);

type Seals<'a> = &'a dyn Fn(&[u8]) -> Option<Sealing>;

impl Nodes {
    /// Walks a tree on a ledger's disk. `seals` says by its path which file gets fs-verity.
    ///
    /// # Errors
    /// [`DeployError::TooBig`] for more inodes or names than the format has, and the disk's.
    pub(in crate::install) fn read(
        root: &Dir,
        ledger: &LedgerDisk,
        seals: Seals<'_>,
    ) -> Result<Self, DeployError> {
        let mut walk = Walk { nodes: Vec::new(), linked: HashMap::new(), ledger, seals };
        walk.add_folder(root.own_metadata()?, Vec::new(), xattrs(root, "")?, 0);
        let mut open = vec![(0, root.clone())];
        while let Some((index, dir)) = open.pop() {
            let mut names = dir.read_dir()?;
            names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            let mut children = Vec::new();
            let mut folders = Vec::new();
            for entry in names {
                let name = entry.name.as_bytes();
                let child = walk.add(&dir, index, name)?;
                if matches!(walk.nodes.get(child).map(|node| &node.kind), Some(Kind::Folder(_))) {
                    folders.push((child, dir.open_dir(&entry.name)?));
                }
                children.push((name.to_vec(), child));
            }
            if let Some(node) = walk.nodes.get_mut(index) {
                node.links += u32::try_from(folders.len()).unwrap_or(u32::MAX);
                node.kind = Kind::Folder(children);
            }
            open.extend(folders.into_iter().rev());
        }
        Ok(Self(walk.nodes))
    }
}

struct Walk<'a> {
    nodes: Vec<Node>,
    /// Where the inodes are that have several names.
    linked: HashMap<((u32, u32), u64), usize>,
    ledger: &'a LedgerDisk,
    seals: Seals<'a>,
}

impl Walk<'_> {
    /// Adds what a name leads to, or one more name to what is known.
    fn add(&mut self, dir: &Dir, parent: usize, name: &[u8]) -> Result<usize, DeployError> {
        let os_name = std::ffi::OsStr::from_bytes(name);
        let metadata = dir.metadata(os_name)?;
        let key = (metadata.device, metadata.inode);
        if let Some(&known) = self.linked.get(&key) {
            if let Some(node) = self.nodes.get_mut(known) {
                node.links = node.links.saturating_add(1);
            }
            return Ok(known);
        }
        let path = self.path(parent, name);
        if name.len() > NAME_MAX {
            let what = format!("name of {}", String::from_utf8_lossy(&path));
            return Err(DeployError::TooBig { what, size: name.len() as u64, limit: NAME_MAX as u64 });
        }
        let xattrs = xattrs(dir, os_name)?;
        let kind = match metadata.kind {
            FileType::Directory => return Ok(self.add_folder(metadata, path, xattrs, parent)),
            FileType::File => Kind::File((self.seals)(&path)),
            FileType::Symlink => Kind::Symlink(dir.read_link(os_name)?.into_os_string().as_bytes().to_vec()),
            FileType::BlockDevice
            | FileType::CharDevice
            | FileType::Fifo
            | FileType::Socket
            | FileType::Other => {
                let unknown =
                    || Error::corrupt(String::from_utf8_lossy(&path), "it is of no type that is known");
                Kind::Device(self.ledger.node(&metadata).ok_or_else(unknown)?)
            }
        };
        if metadata.links > 1 {
            self.linked.insert(key, self.nodes.len());
        }
        Ok(self.push(Node { number: 0, kind, metadata, xattrs, links: 1, parent, path }))
    }

    fn add_folder(&mut self, metadata: Metadata, path: Vec<u8>, xattrs: Xattrs, parent: usize) -> usize {
        self.push(Node {
            number: 0,
            kind: Kind::Folder(Vec::new()),
            metadata,
            xattrs,
            links: 2,
            parent,
            path,
        })
    }

    /// Numbers it: the root by its own number, others as they come.
    fn push(&mut self, node: Node) -> usize {
        let index = self.nodes.len();
        let later = || FIRST_FREE_INODE.saturating_add(u32::try_from(index - 1).unwrap_or(u32::MAX));
        let number = if index == 0 { ROOT_INODE } else { later() };
        self.nodes.push(Node { number, ..node });
        index
    }

    fn path(&self, parent: usize, name: &[u8]) -> Vec<u8> {
        let mut path = self.nodes.get(parent).map(|node| node.path.clone()).unwrap_or_default();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

fn xattrs(dir: &Dir, name: impl AsRef<std::path::Path>) -> Result<Xattrs, DeployError> {
    let name = name.as_ref();
    let keys = dir.xattr_keys(name)?;
    keys.into_iter().map(|key| Ok((key.clone(), dir.xattr(name, &key)?))).collect()
}
