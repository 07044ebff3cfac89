//! From an image back to the tree that it was written of.
//!
//! What lives here: undoing what the writer does to a tree: stubs, escaped attributes, whiteouts, the attributes that
//! name objects. What does not: decoding.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use super::{
    dirents,
    error::ImageError,
    format::{SLOT, TAIL_MAX_V2},
    image::{Budget, Format, Image},
    inode::{DataLayout, Inode},
    objects::ObjectXattrs,
    stored_xattrs,
};
use crate::tree::{Content, FileType, InodeId, Tree, TreeError};

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
    /// [`ImageError::Unsupported`] for the format V0, [`ImageError::Corrupt`], and [`ImageError::Tree`] for names
    /// that are none, names twice, or a directory with two names.
    pub fn to_tree(&self) -> Result<Tree, ImageError> {
        self.read_tree(None)
    }

    /// The tree of the image without what else it has: these paths, relative to its root, with the folders that lead to
    /// them and all that is below them. Of the rest nothing is read, and no error found. A file that has names inside and
    /// outside of them keeps those inside; a symlink on the way is taken, and not followed.
    ///
    /// # Errors
    /// As [`to_tree`](Self::to_tree).
    pub fn to_tree_of(&self, paths: &[&[u8]]) -> Result<Tree, ImageError> {
        self.read_tree(Some(paths))
    }

    fn read_tree<'a>(&'a self, only: Option<&[&'a [u8]]>) -> Result<Tree, ImageError> {
        if self.format() == Format::V0 {
            return Err(ImageError::Unsupported(format!("a tree of format {:?}", self.format())));
        }
        TreeReader::new(self, only)?.read()
    }
}

/// A directory whose entries are still to be read.
struct Directory<'a> {
    stored: Inode<'a>,
    inode: InodeId,
    depth: usize,
    wanted: Wanted<'a>,
}

/// What is read below a folder.
enum Wanted<'a> {
    /// Everything.
    All,
    /// These paths, which are relative to it.
    Paths(Vec<&'a [u8]>),
}

impl Wanted<'_> {
    /// What is wanted below the entry of this name; `None` when the entry itself is not.
    fn below(&self, name: &[u8]) -> Option<Self> {
        let Self::Paths(paths) = self else { return Some(Self::All) };
        let rests = paths.iter().filter_map(|path| path.strip_prefix(name));
        if rests.clone().any(<[u8]>::is_empty) {
            return Some(Self::All);
        }
        let rests: Vec<&[u8]> = rests.filter_map(|rest| rest.strip_prefix(b"/")).collect();
        (!rests.is_empty()).then_some(Self::Paths(rests))
    }
}

/// What nids became.
enum Known {
    /// By nid, the number of the file: for a whole image. Zeros are memory that is not touched yet.
    All(Vec<u32>),
    /// For a part of one.
    Some(HashMap<u64, InodeId>),
}

impl Known {
    fn get(&self, nid: u64) -> Option<InodeId> {
        match self {
            Self::All(numbers) => InodeId::of_number(*numbers.get(usize::try_from(nid).ok()?)?),
            Self::Some(known) => known.get(&nid).copied(),
        }
    }

    fn insert(&mut self, nid: u64, inode: InodeId) {
        match self {
            Self::All(numbers) => {
                if let Some(number) = usize::try_from(nid).ok().and_then(|nid| numbers.get_mut(nid)) {
                    *number = inode.number();
                }
            }
            Self::Some(known) => drop(known.insert(nid, inode)),
        }
    }
}

struct TreeReader<'a> {
    image: &'a Image<'a>,
    tree: Tree,
    known: Known,
    queue: VecDeque<Directory<'a>>,
    budget: Budget,
    /// Of the inode being read.
    own: OwnXattrs<'a>,
}

impl<'a> TreeReader<'a> {
    fn new(image: &'a Image<'a>, only: Option<&[&'a [u8]]>) -> Result<Self, ImageError> {
        let stored = Inode::read(image, image.root_nid)?;
        let slots = image.slots();
        let inodes = match only {
            None => usize::try_from(image.inode_count).unwrap_or(slots).min(slots),
            Some(_) => 0,
        };
        let tree = Tree::with_capacity(stored.metadata()?, inodes);
        let wanted = only.map_or(Wanted::All, |only| Wanted::Paths(only.to_vec()));
        let root = Directory { stored, inode: tree.root(), depth: 0, wanted };
        let mut known = if only.is_none() { Known::All(vec![0; slots]) } else { Known::Some(HashMap::new()) };
        known.insert(image.root_nid, root.inode);
        let mut reader = Self {
            image,
            tree,
            known,
            queue: VecDeque::new(),
            budget: image.budget(),
            own: OwnXattrs::default(),
        };
        reader.xattrs(&stored)?;
        let set = reader.tree.intern_xattrs(&reader.own.pairs())?;
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
                self.unmark(directory.inode)?;
            }
        }
        Ok(self.tree)
    }

    /// Whether whiteouts are stored as marked files, in marked directories, and the root has some of the writer's own.
    fn marks_whiteouts(&self) -> bool {
        self.image.format() != Format::V2
    }

    /// Takes the marks off the directory of a whiteout.
    fn unmark(&mut self, directory: InodeId) -> Result<(), ImageError> {
        let stored = self.tree.xattrs(directory).map(|(name, value)| (name.to_vec(), value.to_vec()));
        let stored: Vec<(Vec<u8>, Vec<u8>)> = stored.collect();
        let mut pairs = stored.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        remove(&mut pairs, &DIRECTORY_MARKS);
        let set = self.tree.intern_xattrs(&pairs)?;
        self.tree.set_xattrs(directory, set);
        Ok(())
    }

    /// Takes an entry into the tree; tells whether it is a whiteout.
    fn entry(&mut self, directory: &Directory<'a>, name: &[u8], nid: u64) -> Result<bool, ImageError> {
        let Some(wanted) = directory.wanted.below(name) else { return Ok(false) };
        if let Some(inode) = self.known.get(nid) {
            self.tree.link(directory.inode, name, inode)?;
            return Ok(false);
        }
        let stored = Inode::read(self.image, nid)?;
        self.budget.spend(stored.len(), stored.start)?;
        if self.marks_whiteouts() && directory.depth == 0 && is_stub(name, &stored) {
            return Ok(false);
        }
        let inode = self.add(&stored)?;
        self.known.insert(nid, inode);
        self.tree.link(directory.inode, name, inode)?;
        if stored.file_type == FileType::Directory {
            let depth = directory.depth + 1;
            if depth > DEPTH_MAX {
                return Err(
                    TreeError::TooBig { what: "folders in each other", limit: DEPTH_MAX as u64 }.into()
                );
            }
            self.queue.push_back(Directory { stored, inode, depth, wanted });
        }
        Ok(self.marks_whiteouts() && self.tree.is_whiteout(inode))
    }

    fn add(&mut self, stored: &Inode<'a>) -> Result<InodeId, ImageError> {
        let object = self.xattrs(stored)?.object(stored.start)?;
        let content = match stored.file_type {
            FileType::Regular if object.is_none() => self.content(stored)?,
            FileType::Symlink => self.content(stored)?,
            _ => Cow::default(),
        };
        let marks_whiteouts = self.marks_whiteouts();
        let mut pairs = self.own.pairs();
        let content = match (stored.file_type, object) {
            (FileType::Regular, None)
                if marks_whiteouts && stored.size == 0 && remove(&mut pairs, &WHITEOUT_MARKS) =>
            {
                Content::CharDevice(0)
            }
            (FileType::Regular, None) => Content::Inline(&content),
            (FileType::Regular, Some((object, true))) => Content::External { object, size: stored.size },
            (FileType::Regular, Some((_, false))) => {
                return Err(ImageError::Unsupported("an object without its digest".to_owned()));
            }
            (FileType::Symlink, _) => Content::Symlink(&content),
            (FileType::Directory, _) => Content::Directory,
            (FileType::CharDevice, _) => Content::CharDevice(stored.address),
            (FileType::BlockDevice, _) => Content::BlockDevice(stored.address),
            (FileType::Fifo, _) => Content::Fifo,
            (FileType::Socket, _) => Content::Socket,
        };
        let set = self.tree.intern_xattrs(&pairs)?;
        if self.tree.xattr_bytes() > XATTR_BYTES_MAX {
            let what = "bytes of extended attributes";
            return Err(TreeError::TooBig { what, limit: XATTR_BYTES_MAX as u64 }.into());
        }
        Ok(self.tree.add(stored.metadata()?, content, set)?)
    }

    /// The content of a symlink or an inline file.
    fn content(&mut self, stored: &Inode<'a>) -> Result<Cow<'a, [u8]>, ImageError> {
        if stored.layout == DataLayout::Chunked {
            return Err(ImageError::Unsupported("a file without content".to_owned()));
        }
        if self.image.format() == Format::V2 && stored.size > TAIL_MAX_V2 {
            return Err(ImageError::Corrupt { what: "a content is too large for V2", at: stored.start });
        }
        self.budget.spend(stored.size, stored.start)?;
        Ok(match stored.content(self.image)? {
            (blocks, []) => blocks.into(),
            ([], tail) => tail.into(),
            (blocks, tail) => [blocks, tail].concat().into(),
        })
    }

    /// Keeps the attributes that are the file's own, unescaped; returns those that name its object.
    fn xattrs(&mut self, stored: &Inode<'a>) -> Result<ObjectXattrs<'a>, ImageError> {
        let Self { image, own, .. } = self;
        own.clear();
        let mut object = ObjectXattrs::default();
        stored_xattrs::visit(image, stored, |xattr| {
            let Some(name) = xattr.overlay() else {
                own.push([xattr.prefix, xattr.suffix], xattr.value);
                return Ok(());
            };
            if let Some(name) = name.strip_prefix(b"overlay.") {
                own.push([b"trusted.overlay.", name], xattr.value);
                return Ok(());
            }
            let is_of_object = stored.file_type == FileType::Regular && object.take(name, xattr.value);
            let is_of_root =
                image.format() != Format::V2 && name == b"opaque" && stored.start == image.root_nid * SLOT;
            if is_of_object || is_of_root {
                return Ok(());
            }
            Err(ImageError::Corrupt {
                what: "an attribute for overlayfs where none belongs",
                at: stored.start,
            })
        })?;
        Ok(object)
    }
}

/// The attributes of one file that are its own, unescaped.
#[derive(Default)]
struct OwnXattrs<'a> {
    /// All names, one after the other.
    names: Vec<u8>,
    /// Where each name ends, and its value.
    values: Vec<(usize, &'a [u8])>,
}

impl<'a> OwnXattrs<'a> {
    fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
    }

    fn push(&mut self, name: [&[u8]; 2], value: &'a [u8]) {
        self.names.extend(name.into_iter().flatten());
        self.values.push((self.names.len(), value));
    }

    fn pairs(&self) -> Vec<(&[u8], &'a [u8])> {
        let mut start = 0;
        let pair = |(end, value): &(usize, &'a [u8])| {
            (self.names.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default(), *value)
        };
        self.values.iter().map(pair).collect()
    }
}

/// Takes marks away if all are there.
fn remove(xattrs: &mut Vec<(&[u8], &[u8])>, marks: &[(&[u8], &[u8])]) -> bool {
    let all = marks.iter().all(|mark| xattrs.contains(mark));
    if all {
        xattrs.retain(|xattr| !marks.contains(xattr));
    }
    all
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
