//! The bytes of an image, written front to back into one buffer of the exact size.
//!
//! What lives here: headers, inodes, attributes, directory blocks. What does not: any decision; those are made in
//! [`super::order`], [`super::sharing`] and [`super::layout`].

use super::{
    attributes::{Attribute, Set},
    format::{
        BLOCK, BLOCK_BITS, CHUNK_BASED, CHUNK_ENTRY_LEN, CHUNK_FORMAT_V2, COMPOSEFS_HEADER_VERSION,
        COMPOSEFS_MAGIC, DIRENT_LEN, EXTENDED, FEATURE_COMPAT, FLAT_INLINE, FLAT_PLAIN, HAS_ACL,
        INODES_START, NULL_CHUNK, SLOT, SUPERBLOCK_MAGIC, SUPERBLOCK_START, XATTR_HEADER_LEN, XATTR_WORD,
        chunk_bits, dirent_type,
    },
    layout::{Layout, Shape},
    order::{Child, Node, Order},
    sharing::{SharedEntry, SharedObject, Sharing},
    version::Version,
    xattr_name::{METACOPY, REDIRECT, XattrName},
};
use crate::{
    Algorithm, hex,
    tree::{Content, FileType, InodeId},
};

/// Writes one image.
pub(super) struct Emitter<'a> {
    order: &'a Order<'a>,
    sharing: &'a Sharing<'a>,
    layout: &'a Layout,
    out: Vec<u8>,
    /// The block that the next content after the inodes gets.
    next_block: u64,
    /// Of the directory being written.
    entries: Vec<(&'a [u8], Child)>,
    /// The bits of the name filter for the two attributes of an object.
    object_filter: u32,
    /// The block from which references to shared attributes count.
    shared_block: u64,
}

/// One of an inode's attributes: from its set, or of its object.
#[derive(Clone, Copy)]
enum Item<'a> {
    Attribute(&'a Attribute<'a>),
    Metacopy,
    Redirect,
}

/// Which part of the content is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Blocks,
    Tail,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(order: &'a Order<'a>, sharing: &'a Sharing<'a>, layout: &'a Layout) -> Self {
        let out = Vec::with_capacity(usize::try_from(layout.end).unwrap_or_default());
        let next_block = layout.blocks_start / BLOCK;
        let object_filter = METACOPY.filter_bit() | REDIRECT.filter_bit();
        let shared_block = match order.version {
            Version::V1 => layout.inodes_end / BLOCK,
            Version::V2 => 0,
        };
        Self { order, sharing, layout, out, next_block, entries: Vec::new(), object_filter, shared_block }
    }

    /// The whole image.
    pub(super) fn image(mut self) -> Vec<u8> {
        self.superblock();
        let with_blocks = self.inodes();
        for entry in &self.sharing.table {
            self.shared_entry(*entry);
        }
        self.pad_to(self.layout.blocks_start);
        for (node, directory, shape) in with_blocks {
            self.content(node, directory, &shape, Part::Blocks);
            self.pad_to((self.out.len() as u64).next_multiple_of(BLOCK));
        }
        self.out
    }

    fn superblock(&mut self) {
        let Layout { build_time, end, .. } = *self.layout;
        let has_acl = self.order.version == Version::V1 && self.sharing.attributes.has_acl();
        self.put(&COMPOSEFS_MAGIC.to_le_bytes());
        self.put(&COMPOSEFS_HEADER_VERSION.to_le_bytes());
        self.put(&if has_acl { HAS_ACL } else { 0 }.to_le_bytes());
        self.put(&self.order.version.number().to_le_bytes());
        self.pad_to(SUPERBLOCK_START);
        self.put(&SUPERBLOCK_MAGIC.to_le_bytes());
        self.put(&[0; 4]); // no checksum
        self.put(&FEATURE_COMPAT.to_le_bytes());
        self.put(&[low8(BLOCK_BITS.into()), 0]);
        self.put(&low16(self.layout.nid(0).into()).to_le_bytes());
        self.put(&(self.order.nodes.len() as u64).to_le_bytes());
        self.put(&build_time.sec.to_le_bytes());
        self.put(&build_time.nsec.to_le_bytes());
        self.put(&low32(end / BLOCK).to_le_bytes());
        self.put(&[0; 4]); // nids count from the start of the image
        self.put(&low32(self.shared_block).to_le_bytes());
        self.pad_to(INODES_START);
    }

    /// Writes all inodes; returns those that have blocks of content.
    fn inodes(&mut self) -> Vec<(&'a Node, Option<usize>, Shape)> {
        let mut with_blocks = Vec::new();
        for ((number, (node, directory)), nid) in (0..).zip(self.order.walk()).zip(&self.layout.nids) {
            let shape = self.layout.shape(self.order, self.sharing, node, directory);
            self.pad_to(u64::from(*nid) * SLOT);
            self.inode_header(number, node, &shape);
            self.xattrs(node, &shape);
            if shape.tail > 0 {
                self.content(node, directory, &shape, Part::Tail);
            }
            if shape.blocks > 0 {
                with_blocks.push((node, directory, shape));
                self.next_block += shape.blocks;
            }
        }
        self.pad_to(self.layout.inodes_end);
        with_blocks
    }

    fn inode_header(&mut self, number: u32, node: &Node, shape: &Shape) {
        let mut metadata = self.order.metadata(node);
        // V1 numbers inodes in their order, V2 by their place, and keeps no nanoseconds.
        let mut number = number;
        if self.order.version == Version::V2 {
            number = low32(self.out.len() as u64 / SLOT);
            metadata.mtime.nsec = 0;
        }
        let data_layout = match () {
            () if shape.is_chunked => CHUNK_BASED,
            () if shape.tail > 0 => FLAT_INLINE,
            () => FLAT_PLAIN,
        };
        let xattr_words = match shape.xattrs_len {
            0 => 0,
            len => (len - XATTR_HEADER_LEN) / XATTR_WORD + 1,
        };
        self.put(&(data_layout | if shape.is_compact { 0 } else { EXTENDED }).to_le_bytes());
        self.put(&low16(xattr_words).to_le_bytes());
        self.put(&(shape.file_type.mode_bits() | metadata.mode).to_le_bytes());
        if shape.is_compact {
            self.put(&low16(shape.links.into()).to_le_bytes());
            self.put(&low32(shape.size).to_le_bytes());
            self.put(&[0; 4]);
        } else {
            self.put(&[0; 2]);
            self.put(&shape.size.to_le_bytes());
        }
        self.put(&self.address(node, shape).to_le_bytes());
        self.put(&number.to_le_bytes());
        if shape.is_compact {
            self.put(&low16(metadata.uid.into()).to_le_bytes());
            self.put(&low16(metadata.gid.into()).to_le_bytes());
            self.put(&[0; 4]);
        } else {
            self.put(&metadata.uid.to_le_bytes());
            self.put(&metadata.gid.to_le_bytes());
            self.put(&metadata.mtime.sec.to_le_bytes());
            self.put(&metadata.mtime.nsec.to_le_bytes());
            self.put(&shape.links.to_le_bytes());
            self.put(&[0; 16]);
        }
    }

    /// The inode's `i_u`: the first block of its content, its device number, or the format of its chunks (which takes
    /// the lower half of the field).
    fn address(&self, node: &Node, shape: &Shape) -> u32 {
        let block = if shape.blocks > 0 { low32(self.next_block) } else { 0 };
        match (shape.file_type, node.inode) {
            (FileType::CharDevice | FileType::BlockDevice, Some(inode)) => {
                match self.order.tree.content(inode) {
                    Content::CharDevice(number) | Content::BlockDevice(number) => number,
                    _ => block,
                }
            }
            _ if shape.is_chunked && self.order.version == Version::V2 => CHUNK_FORMAT_V2,
            _ if shape.is_chunked => block & 0xffff_0000 | (chunk_bits(shape.size) - BLOCK_BITS),
            _ => block,
        }
    }

    fn xattrs(&mut self, node: &Node, shape: &Shape) {
        if shape.xattrs_len == 0 {
            return;
        }
        let set = self.sharing.attributes.set(node);
        let object = node.inode.filter(|_| shape.is_chunked);
        let shared_object = self.sharing.object(node);
        let place = |item: &Item<'_>| match item {
            Item::Attribute(attribute) => attribute.place,
            Item::Metacopy => shared_object.map(|object| object.metacopy),
            Item::Redirect => shared_object.map(|object| object.redirect),
        };
        let items = self.items(set, object.is_some());
        let (mut filter, mut shared) = (set.filter, set.shared);
        if object.is_some() {
            filter |= self.object_filter;
            shared += if shared_object.is_some() { 2 } else { 0 };
        }
        self.put(&(!filter).to_le_bytes());
        self.put(&[low8(shared), 0, 0, 0, 0, 0, 0, 0]);
        let base = low32((self.layout.inodes_end - self.shared_block * BLOCK) / XATTR_WORD);
        for place in items.clone().filter_map(|item| place(&item)) {
            self.put(&base.wrapping_add(place).to_le_bytes());
        }
        for item in items.filter(|item| place(item).is_none()) {
            match (item, object) {
                (Item::Attribute(attribute), _) => self.xattr(&attribute.name, &[attribute.value]),
                (Item::Metacopy, Some(inode)) => self.metacopy(inode),
                (Item::Redirect, Some(inode)) => self.redirect(inode),
                _ => {}
            }
        }
    }

    /// The attributes of a set in the order of full names, with the two of an object among them (V1) or before them (V2).
    fn items(&self, set: Set, has_object: bool) -> impl Iterator<Item = Item<'a>> + Clone + use<'a> {
        let members = self.sharing.attributes.members(set).map(Item::Attribute);
        let Set { before_metacopy, before_redirect, .. } = set;
        let of_object = |item| has_object.then_some(item);
        members
            .clone()
            .take(before_metacopy)
            .chain(of_object(Item::Metacopy))
            .chain(members.clone().take(before_redirect).skip(before_metacopy))
            .chain(of_object(Item::Redirect))
            .chain(members.skip(before_redirect))
    }

    fn shared_entry(&mut self, entry: SharedEntry) {
        let object =
            |index: u32| self.sharing.objects.get(index as usize).map(|object: &SharedObject| object.inode);
        match entry {
            SharedEntry::Attribute(index) => {
                if let Some(Attribute { name, value, .. }) = self.sharing.attributes.all.get(index as usize) {
                    self.xattr(name, &[value]);
                }
            }
            SharedEntry::Metacopy(index) => {
                if let Some(inode) = object(index) {
                    self.metacopy(inode);
                }
            }
            SharedEntry::Redirect(index) => {
                if let Some(inode) = object(index) {
                    self.redirect(inode);
                }
            }
        }
    }

    /// The value of `trusted.overlay.metacopy` is overlayfs' `struct ovl_metacopy`: version, length, flags, algorithm,
    /// digest.
    fn metacopy(&mut self, inode: InodeId) {
        let Some((algorithm, digest)) = self.order.tree.digest(inode) else { return };
        let head = [0, low8(4 + digest.len() as u64), 0, algorithm.kernel_number()];
        self.xattr(&METACOPY, &[&head, digest]);
    }

    fn redirect(&mut self, inode: InodeId) {
        let Some((_, digest)) = self.order.tree.digest(inode) else { return };
        let mut digits = [0; 2 * Algorithm::Sha512.digest_len()];
        hex::encode(digest, &mut digits);
        let (first, rest) =
            digits.get(..2 * digest.len()).unwrap_or_default().split_at_checked(2).unwrap_or_default();
        self.xattr(&REDIRECT, &[b"/", first, b"/", rest]);
    }

    fn xattr(&mut self, name: &XattrName<'_>, value: &[&[u8]]) {
        let value_len: usize = value.iter().map(|part| part.len()).sum();
        self.put(&[low8(name.suffix_len() as u64), name.index]);
        self.put(&low16(value_len as u64).to_le_bytes());
        for part in name.suffix().iter().chain(value) {
            self.put(part);
        }
        self.pad_to((self.out.len() as u64).next_multiple_of(XATTR_WORD));
    }

    fn content(&mut self, node: &Node, directory: Option<usize>, shape: &Shape, part: Part) {
        if let Some(directory) = directory {
            self.directory(directory, shape, part);
            return;
        }
        if shape.is_chunked {
            let bytes = if part == Part::Blocks { BLOCK } else { shape.tail };
            for _ in 0..bytes / CHUNK_ENTRY_LEN {
                self.put(&NULL_CHUNK);
            }
            return;
        }
        let content = node.inode.map(|inode| self.order.tree.content(inode));
        if let Some(Content::Inline(bytes) | Content::Symlink(bytes)) = content {
            let tail = bytes.len() - usize::try_from(shape.tail).unwrap_or_default().min(bytes.len());
            let (blocks, tail) = bytes.split_at(tail);
            self.put(if part == Part::Blocks { blocks } else { tail });
        }
    }

    /// The full blocks of a directory, or its tail.
    fn directory(&mut self, number: usize, shape: &Shape, part: Part) {
        let Some(directory) = self.order.directories.get(number) else { return };
        let mut entries = std::mem::take(&mut self.entries);
        self.order.entries(directory, &mut entries);
        let mut rest = &entries[..];
        for _ in 0..shape.blocks {
            let block = fill_block(rest);
            if part == Part::Blocks {
                self.dirents(rest.get(..block).unwrap_or_default());
                self.pad_to((self.out.len() as u64).next_multiple_of(BLOCK));
            }
            rest = rest.get(block..).unwrap_or_default();
        }
        if part == Part::Tail {
            self.dirents(rest);
        }
        self.entries = entries;
    }

    /// One block of entries: their heads, then their names.
    fn dirents(&mut self, entries: &[(&[u8], Child)]) {
        let mut name_offset = DIRENT_LEN * entries.len() as u64;
        for (name, child) in entries {
            let nid = self.layout.nid(self.order.node(*child));
            self.put(&u64::from(nid).to_le_bytes());
            self.put(&low16(name_offset).to_le_bytes());
            self.put(&[dirent_type(self.order.child_type(*child)), 0]);
            name_offset += name.len() as u64;
        }
        for (name, _) in entries {
            self.put(name);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn pad_to(&mut self, position: u64) {
        self.out.resize(usize::try_from(position).unwrap_or_default(), 0);
    }
}

/// How many of these entries fill the next block.
fn fill_block(entries: &[(&[u8], Child)]) -> usize {
    let mut len = 0;
    let fits = |(name, _): &&(&[u8], Child)| {
        len += DIRENT_LEN + name.len() as u64;
        len <= BLOCK
    };
    entries.iter().take_while(fits).count()
}

/// The value, which the layout has checked to fit.
fn low8(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// The same for 16 bits.
fn low16(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// The same for 32 bits.
fn low32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
