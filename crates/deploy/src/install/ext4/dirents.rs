//! The blocks of a folder: its names in order, without an index; the kernel makes one when a folder grows.

use super::{
    checksum::Crc,
    format::{BLOCK, low16, put, put16, put32},
};

/// The bytes of a block that names may take: the last twelve hold the checksum.
const ROOM: usize = BLOCK - 12;

/// A name in a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dirent<'a> {
    pub(super) inode: u32,
    /// The number of the type (`EXT4_FT_*`).
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
}

/// What a name takes.
const fn len(name: usize) -> usize {
    (8 + name).next_multiple_of(4)
}

/// How many blocks names of these lengths take, `.` and `..` among them.
pub(super) fn blocks(names: impl Iterator<Item = usize>) -> u64 {
    let (mut blocks, mut used) = (1, len(1) + len(2));
    for name in names {
        if used + len(name) > ROOM {
            blocks += 1;
            used = 0;
        }
        used += len(name);
    }
    blocks
}

/// The blocks of a folder; `least` says how many there are at any rate.
pub(super) fn encode<'a>(entries: impl Iterator<Item = Dirent<'a>>, least: usize, inode_crc: Crc) -> Vec<u8> {
    let mut blocks = Blocks { done: Vec::new(), block: vec![0; BLOCK], used: 0, last: 0 };
    for entry in entries {
        if blocks.used + len(entry.name.len()) > ROOM {
            blocks.finish(inode_crc);
        }
        blocks.add(entry);
    }
    blocks.finish(inode_crc);
    while blocks.done.len() < least * BLOCK {
        blocks.finish(inode_crc);
    }
    blocks.done
}

struct Blocks {
    done: Vec<u8>,
    block: Vec<u8>,
    used: usize,
    /// Where the last name begins.
    last: usize,
}

impl Blocks {
    fn add(&mut self, entry: Dirent<'_>) {
        let (at, size) = (self.used, len(entry.name.len()));
        put32(&mut self.block, at, entry.inode);
        put16(&mut self.block, at + 4, low16(size as u64));
        put(&mut self.block, at + 6, &[entry.name.len().to_le_bytes()[0], entry.kind]);
        put(&mut self.block, at + 8, entry.name);
        (self.last, self.used) = (at, at + size);
    }

    /// The last name has the rest of the block; then the checksum, as a name that is none.
    fn finish(&mut self, inode_crc: Crc) {
        put16(&mut self.block, self.last + 4, low16((ROOM - self.last) as u64));
        put16(&mut self.block, ROOM + 4, 12);
        put(&mut self.block, ROOM + 7, &[0xde]);
        let crc = inode_crc.with(self.block.get(..ROOM).unwrap_or_default());
        put32(&mut self.block, ROOM + 8, crc.value());
        self.done.append(&mut self.block);
        (self.block, self.used, self.last) = (vec![0; BLOCK], 0, 0);
    }
}
