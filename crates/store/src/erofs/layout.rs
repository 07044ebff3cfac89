//! Where everything is in an image: the size and shape of each inode, its place, and the blocks after all inodes.
//!
//! What lives here: the choice between compact and extended inodes, what is a tail and what gets blocks, and padding.
//! What does not: bytes. Sources of the rules: C composefs `compute_erofs_inode_size` and
//! `compute_erofs_inode_padding_for_tail`.

use super::{
    format::{
        BLOCK, CHUNK_ENTRY_LEN, COMPACT_LEN, DIRENT_LEN, EXTENDED_LEN, INODES_START, SLOT, TAIL_MAX,
        TAIL_MAX_V2, XATTR_WORD, chunk_count,
    },
    order::{Child, Directory, Node, Order},
    sharing::{Sharing, too_big, xattrs_len},
    version::Version,
};
use crate::tree::{FileType, Timestamp, TreeError};

/// How a directory is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectoryShape {
    blocks: u64,
    tail: u64,
    /// Entries that are directories, the dots included.
    links: u32,
}

/// How an inode is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) file_type: FileType,
    pub(super) is_compact: bool,
    pub(super) links: u32,
    /// `i_size`.
    pub(super) size: u64,
    pub(super) xattrs_len: u64,
    /// Bytes of content after the attributes.
    pub(super) tail: u64,
    /// Blocks of content after all inodes.
    pub(super) blocks: u64,
    /// Whether the content is a table of chunks.
    pub(super) is_chunked: bool,
}

impl Shape {
    /// V2 has no blocks but for directories: all else is a tail.
    fn place_content_v2(&mut self) {
        match self.file_type {
            FileType::Regular if self.is_chunked => self.tail = CHUNK_ENTRY_LEN,
            FileType::Regular | FileType::Symlink => self.tail = self.size,
            _ => {}
        }
    }

    /// The header and the attributes.
    fn head(&self) -> u64 {
        self.xattrs_len + if self.is_compact { COMPACT_LEN } else { EXTENDED_LEN }
    }
}

/// The places of an image's parts.
#[derive(Debug)]
pub(super) struct Layout {
    directories: Vec<DirectoryShape>,
    /// The place of each node, in slots from the start of the image.
    pub(super) nids: Vec<u32>,
    /// The earliest mtime, which compact inodes have: the image's `build_time`.
    pub(super) build_time: Timestamp,
    /// Where the shared table starts, where the blocks do, and the end, in bytes.
    pub(super) inodes_end: u64,
    pub(super) blocks_start: u64,
    pub(super) end: u64,
}

impl Layout {
    pub(super) fn new(order: &Order<'_>, sharing: &Sharing<'_>) -> Result<Self, TreeError> {
        let mut entries = Vec::new();
        let shape = |directory| directory_shape(order, directory, &mut entries);
        let mut layout = Self {
            directories: order.directories.iter().map(shape).collect(),
            nids: Vec::with_capacity(order.nodes.len()),
            build_time: build_time(order),
            inodes_end: 0,
            blocks_start: 0,
            end: 0,
        };
        let mut position = INODES_START;
        let mut blocks = 0;
        for (node, directory) in order.walk() {
            let shape = layout.shape(order, sharing, node, directory);
            position = match order.version {
                Version::V1 => start(position, &shape),
                Version::V2 => start_v2(position, &shape)?,
            };
            layout.nids.push(u32::try_from(position / SLOT).map_err(|_| too_big())?);
            position += shape.head() + shape.tail;
            blocks += shape.blocks;
        }
        layout.inodes_end = position.next_multiple_of(SLOT);
        layout.blocks_start = (layout.inodes_end + sharing.table_len).next_multiple_of(BLOCK);
        layout.end = layout.blocks_start + blocks * BLOCK;
        // V2 counts the words of shared attributes from the start of the image.
        if order.version == Version::V2 && layout.blocks_start / XATTR_WORD > u32::MAX.into() {
            return Err(too_big());
        }
        Ok(layout)
    }

    /// The place of a node by its number, in slots from the start of the image.
    pub(super) fn nid(&self, node: u32) -> u32 {
        self.nids.get(node as usize).copied().unwrap_or_default()
    }

    /// The shape of a node; `directory` is its number among the directories, if it is one.
    pub(super) fn shape(
        &self,
        order: &Order<'_>,
        sharing: &Sharing<'_>,
        node: &Node,
        directory: Option<usize>,
    ) -> Shape {
        let file_type = order.file_type(node);
        let object = node.inode.and_then(|inode| order.object(inode));
        let mut shape = Shape {
            file_type,
            is_compact: false,
            links: node.inode.map_or(1, |inode| order.links(inode)),
            size: node.inode.map_or(0, |inode| order.tree.size(inode)),
            xattrs_len: xattrs_len(node, &sharing.attributes.set(node), object),
            tail: 0,
            blocks: 0,
            is_chunked: object.is_some(),
        };
        if let Some(directory) = directory.and_then(|number| self.directories.get(number)) {
            (shape.blocks, shape.tail, shape.links) = (directory.blocks, directory.tail, directory.links);
            shape.size = directory.blocks * BLOCK + directory.tail;
        }
        shape.is_compact = self.is_compact(order, node, &shape);
        match file_type {
            _ if order.version == Version::V2 => shape.place_content_v2(),
            FileType::Regular if shape.is_chunked => place_chunks(&mut shape),
            FileType::Regular => {
                (shape.blocks, shape.tail) = (shape.size / BLOCK, shape.size % BLOCK);
                if shape.tail > TAIL_MAX {
                    (shape.blocks, shape.tail) = (shape.blocks + 1, 0);
                }
            }
            FileType::Symlink if shape.head() + shape.size >= BLOCK => shape.blocks = 1,
            FileType::Symlink => shape.tail = shape.size,
            _ => {}
        }
        shape
    }

    fn is_compact(&self, order: &Order<'_>, node: &Node, shape: &Shape) -> bool {
        let metadata = order.metadata(node);
        order.version == Version::V1
            && metadata.mtime == self.build_time
            && shape.links <= u16::MAX.into()
            && metadata.uid <= u16::MAX.into()
            && metadata.gid <= u16::MAX.into()
            && shape.size <= u32::MAX.into()
    }
}

/// A chunk table goes to a block when it cannot end in the block that it starts in, wherever the inode is.
fn place_chunks(shape: &mut Shape) {
    shape.tail = chunk_count(shape.size) * CHUNK_ENTRY_LEN;
    if shape.tail + shape.xattrs_len % SLOT > BLOCK {
        (shape.blocks, shape.tail) = (1, 0);
    }
}

/// Where an inode starts, if the last one ended at `position`: padded so that its tail does not cross a block.
fn start(position: u64, shape: &Shape) -> u64 {
    let position = position.next_multiple_of(SLOT);
    match shape.file_type {
        // Kernels before 6.12 want a symlink's inode and target in one block.
        FileType::Symlink if position % BLOCK + shape.head() + shape.size > BLOCK => {
            position.next_multiple_of(BLOCK)
        }
        FileType::Symlink => position,
        _ if shape.is_chunked && shape.blocks > 0 => position.next_multiple_of(BLOCK),
        _ => {
            let tail_start = position + shape.head();
            let left = tail_start.next_multiple_of(BLOCK) - tail_start;
            if left > 0 && left < shape.tail { position + left.next_multiple_of(SLOT) } else { position }
        }
    }
}

/// The same for V2: what does not end before the block does starts in the next one. Where exactly is as in the crate
/// `composefs`, which leaves a few bytes free there.
fn start_v2(position: u64, shape: &Shape) -> Result<u64, TreeError> {
    let position = position.next_multiple_of(SLOT);
    if shape.is_chunked || shape.tail == 0 {
        return Ok(position);
    }
    if shape.tail > TAIL_MAX_V2 {
        let what = "bytes of a file or target inside an image of format V2";
        return Err(TreeError::TooBig { what, limit: TAIL_MAX_V2 });
    }
    let head_end = position + shape.head() - 1;
    if head_end / BLOCK == (head_end + 1 + shape.tail) / BLOCK {
        return Ok(position);
    }
    Ok((position + BLOCK - head_end % BLOCK).next_multiple_of(SLOT))
}

/// Directory blocks are filled in order; what is left is a tail if it is small.
fn directory_shape<'a>(
    order: &Order<'a>,
    directory: &Directory,
    entries: &mut Vec<(&'a [u8], Child)>,
) -> DirectoryShape {
    let mut shape = DirectoryShape { blocks: 0, tail: 0, links: 0 };
    order.entries(directory, entries);
    for (name, child) in entries {
        let len = DIRENT_LEN + name.len() as u64;
        if shape.tail + len > BLOCK {
            (shape.blocks, shape.tail) = (shape.blocks + 1, 0);
        }
        shape.tail += len;
        shape.links = shape.links.saturating_add((order.child_type(*child) == FileType::Directory).into());
    }
    if shape.tail > TAIL_MAX {
        (shape.blocks, shape.tail) = (shape.blocks + 1, 0);
    }
    shape
}

/// The earliest mtime of all inodes; none in V2, where no inode needs it. Seconds are compared unsigned, as the crate composefs does and so bootc: times
/// before 1970 count as latest. C `mkcomposefs` compares them signed.
fn build_time(order: &Order<'_>) -> Timestamp {
    if order.version == Version::V2 {
        return Timestamp::default();
    }
    let times = order.nodes.iter().map(|node| order.metadata(node).mtime);
    times.min_by_key(|time| (time.sec.cast_unsigned(), time.nsec)).unwrap_or_default()
}
