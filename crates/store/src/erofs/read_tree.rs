//! From an image back to the tree that it was written of.
//!
//! What lives here: undoing what the writer does to a tree: stubs, escaped attributes, whiteouts, the attributes that
//! name objects. What does not: decoding.

use std::{borrow::Cow, collections::VecDeque};

use super::{
    dirents,
    error::ImageError,
    format::SLOT,
    image::{Budget, Format, Image},
    inode::{DataLayout, Inode},
    objects::ObjectXattrs,
    stored_xattrs,
};
use crate::tree::{Content, FileType, InodeId, Tree, TreeError, XattrSet};

/// The deepest directory: no deeper one can be named in a path of 4,096 bytes.
const DEPTH_MAX: usize = 2048;
/// The most bytes of different attribute sets. Sets may share values in the image, but do not in a tree.
const XATTR_BYTES_MAX: usize = 256 << 20;

/// Marks on the directory of a whiteout.
const DIRECTORY_MARKS: [(&[u8], &[u8]); 4] = [
    (b"trusted.overlay.whiteouts", b""),
    (b"user.overlay.whiteouts", b""),
    (b"trusted.overlay.opaque", b"x"),
    (b"user.overlay.opaque", b"x"),
];
/// Marks on the file that stands for a whiteout.
const WHITEOUT_MARKS: [(&[u8], &[u8]); 2] =
    [(b"trusted.overlay.whiteout", b""), (b"user.overlay.whiteout", b"")];

impl Image<'_> {
    /// The tree of the image: writing it gives the image again.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] for formats but V1, [`ImageError::Corrupt`], and [`ImageError::Tree`] for names
    /// that are none, names twice, or a directory with two names.
    pub fn to_tree(&self) -> Result<Tree, ImageError> {
        if self.format() != Format::V1 {
            return Err(ImageError::Unsupported(format!("a tree of format {:?}", self.format())));
        }
        TreeReader::new(self)?.read()
    }
}

/// A directory whose entries are still to be read.
struct Directory<'a> {
    stored: Inode<'a>,
    inode: InodeId,
    depth: usize,
}

struct TreeReader<'a> {
    image: &'a Image<'a>,
    tree: Tree,
    /// What each nid became.
    known: Vec<Option<InodeId>>,
    queue: VecDeque<Directory<'a>>,
    budget: Budget,
}

impl<'a> TreeReader<'a> {
    fn new(image: &'a Image<'a>) -> Result<Self, ImageError> {
        let stored = Inode::read(image, image.root_nid)?;
        let slots = image.slots();
        let inodes = usize::try_from(image.inode_count).unwrap_or(slots).min(slots);
        let tree = Tree::with_capacity(stored.metadata()?, inodes);
        let root = Directory { stored, inode: tree.root(), depth: 0 };
        let mut known = vec![None; slots];
        if let Some(known) = usize::try_from(image.root_nid).ok().and_then(|nid| known.get_mut(nid)) {
            *known = Some(root.inode);
        }
        let mut reader = Self { image, tree, known, queue: VecDeque::new(), budget: image.budget() };
        let (own, _) = reader.xattrs(&stored)?;
        let set = reader.intern(&own)?;
        reader.tree.set_xattrs(root.inode, set);
        reader.queue.push_back(root);
        Ok(reader)
    }

    fn read(mut self) -> Result<Tree, ImageError> {
        while let Some(directory) = self.queue.pop_front() {
            self.budget.spend(directory.stored.size, directory.stored.start)?;
            let mut has_whiteout = false;
            dirents::visit(self.image, &directory.stored, |name, nid| {
                has_whiteout |= self.entry(&directory, name, nid)?;
                Ok::<(), ImageError>(())
            })?;
            if has_whiteout {
                let mut own = OwnXattrs(Vec::new());
                own.0.extend(
                    self.tree
                        .xattrs(directory.inode)
                        .map(|(name, value)| (name.to_vec(), value.to_vec().into())),
                );
                own.remove(&DIRECTORY_MARKS);
                let set = self.intern(&own)?;
                self.tree.set_xattrs(directory.inode, set);
            }
        }
        Ok(self.tree)
    }

    /// Takes an entry into the tree; tells whether it is a whiteout.
    fn entry(&mut self, directory: &Directory<'a>, name: &[u8], nid: u64) -> Result<bool, ImageError> {
        let slot = usize::try_from(nid).unwrap_or(usize::MAX);
        if let Some(inode) = self.known.get(slot).copied().flatten() {
            self.tree.link(directory.inode, name, inode)?;
            return Ok(false);
        }
        let stored = Inode::read(self.image, nid)?;
        self.budget.spend(stored.len(), stored.start)?;
        if directory.depth == 0 && is_stub(name, &stored) {
            return Ok(false);
        }
        let inode = self.add(&stored)?;
        if let Some(known) = self.known.get_mut(slot) {
            *known = Some(inode);
        }
        self.tree.link(directory.inode, name, inode)?;
        if stored.file_type == FileType::Directory {
            let depth = directory.depth + 1;
            if depth > DEPTH_MAX {
                return Err(
                    TreeError::TooBig { what: "folders in each other", limit: DEPTH_MAX as u64 }.into()
                );
            }
            self.queue.push_back(Directory { stored, inode, depth });
        }
        Ok(self.tree.is_whiteout(inode))
    }

    fn add(&mut self, stored: &Inode<'a>) -> Result<InodeId, ImageError> {
        let (mut own, object) = self.xattrs(stored)?;
        let at = stored.start;
        let bytes;
        let content = match stored.file_type {
            FileType::Regular if stored.size == 0 && own.remove(&WHITEOUT_MARKS) => Content::CharDevice(0),
            FileType::Regular => match object.object(at)? {
                Some((object, true)) => Content::External { object, size: stored.size },
                Some((_, false)) => {
                    return Err(ImageError::Unsupported("an object without its digest".to_owned()));
                }
                None if stored.layout == DataLayout::Chunked => {
                    return Err(ImageError::Unsupported("a file without content".to_owned()));
                }
                None => {
                    bytes = self.content(stored)?;
                    Content::Inline(&bytes)
                }
            },
            FileType::Symlink => {
                bytes = self.content(stored)?;
                Content::Symlink(&bytes)
            }
            FileType::Directory => Content::Directory,
            FileType::CharDevice => Content::CharDevice(stored.address),
            FileType::BlockDevice => Content::BlockDevice(stored.address),
            FileType::Fifo => Content::Fifo,
            FileType::Socket => Content::Socket,
        };
        let set = self.intern(&own)?;
        Ok(self.tree.add(stored.metadata()?, content, set)?)
    }

    fn content(&mut self, stored: &Inode<'a>) -> Result<Cow<'a, [u8]>, ImageError> {
        self.budget.spend(stored.size, stored.start)?;
        Ok(match stored.content(self.image)? {
            (blocks, []) => blocks.into(),
            ([], tail) => tail.into(),
            (blocks, tail) => [blocks, tail].concat().into(),
        })
    }

    /// The attributes that are the file's own, unescaped, and those that name its object.
    fn xattrs(&self, stored: &Inode<'a>) -> Result<(OwnXattrs<'a>, ObjectXattrs<'a>), ImageError> {
        let mut own = OwnXattrs(Vec::new());
        let mut object = ObjectXattrs::default();
        stored_xattrs::visit(self.image, stored, |xattr| {
            let Some(name) = xattr.overlay() else {
                own.0.push(([xattr.prefix, xattr.suffix].concat(), xattr.value.into()));
                return Ok(());
            };
            if let Some(name) = name.strip_prefix(b"overlay.") {
                own.0.push(([b"trusted.overlay.", name].concat(), xattr.value.into()));
                return Ok(());
            }
            let is_of_object = stored.file_type == FileType::Regular && object.take(name, xattr.value);
            let is_of_root = name == b"opaque" && stored.start == self.image.root_nid * SLOT;
            if is_of_object || is_of_root {
                return Ok(());
            }
            Err(ImageError::Corrupt {
                what: "an attribute for overlayfs where none belongs",
                at: stored.start,
            })
        })?;
        Ok((own, object))
    }

    fn intern(&mut self, own: &OwnXattrs<'_>) -> Result<XattrSet, ImageError> {
        let pairs: Vec<(&[u8], &[u8])> = own.0.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let set = self.tree.intern_xattrs(&pairs)?;
        if self.tree.xattr_bytes() > XATTR_BYTES_MAX {
            let what = "bytes of extended attributes";
            return Err(TreeError::TooBig { what, limit: XATTR_BYTES_MAX as u64 }.into());
        }
        Ok(set)
    }
}

/// The attributes of one file that are its own, unescaped.
struct OwnXattrs<'a>(Vec<(Vec<u8>, Cow<'a, [u8]>)>);

impl OwnXattrs<'_> {
    /// Takes marks away if all are there.
    fn remove(&mut self, marks: &[(&[u8], &[u8])]) -> bool {
        let is = |(name, value): &(Vec<u8>, Cow<'_, [u8]>), mark: &(&[u8], &[u8])| {
            (&name[..], &value[..]) == *mark
        };
        let all = marks.iter().all(|mark| self.0.iter().any(|xattr| is(xattr, mark)));
        if all {
            self.0.retain(|xattr| !marks.iter().any(|mark| is(xattr, mark)));
        }
        all
    }
}

/// Whether a child of the root is one of the 256 whiteouts that the writer adds. The tree's own whiteouts look
/// different in an image.
fn is_stub(name: &[u8], stored: &Inode<'_>) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    stored.file_type == FileType::CharDevice
        && stored.address == 0
        && name.len() == 2
        && name.iter().all(is_digit)
}
