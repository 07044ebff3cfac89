//! The journal: empty, with its superblock. Source: `fs/jbd2`'s on-disk format; numbers are big-endian.

use super::format::{BLOCK, low32, put};

/// How many blocks a journal has, by those of the file system, about as mke2fs does it.
pub(super) const fn blocks(all: u64) -> u64 {
    match all {
        0..32_768 => 1024,
        32_768..262_144 => 4096,
        262_144..524_288 => 8192,
        _ => 16_384,
    }
}

/// The journal's first block; the others are zeros.
pub(super) fn superblock(blocks: u64, uuid: &[u8; 16]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    let fields = [
        (0, 0xc03b_3998),
        // A superblock of version 2.
        (4, 4),
        (12, low32(BLOCK as u64)),
        (16, blocks),
        (20, 1),
        (24, 1),
        // One file system uses it.
        (64, 1),
    ];
    for (at, value) in fields {
        put(&mut block, at, &value.to_be_bytes());
    }
    put(&mut block, 48, uuid);
    block
}
