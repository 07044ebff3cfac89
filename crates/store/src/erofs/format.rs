//! The numbers of the format: sizes, magics, flags, and the small rules that writer and reader share.
//!
//! Sources: `linux/fs/erofs/erofs_fs.h` and the EROFS documentation; composefs' header and its rules for chunks.

use crate::tree::FileType;

/// The size of a block, and its binary logarithm.
pub(super) const BLOCK: u64 = 4096;
pub(super) const BLOCK_BITS: u32 = 12;
/// Inodes start at multiples of this.
pub(super) const SLOT: u64 = 32;
/// The longest tail of a directory or an inline file; what is longer gets a block (composefs: half a block).
pub(super) const TAIL_MAX: u64 = BLOCK / 2;

/// The composefs header's `magic` and EROFS `version`.
pub(super) const COMPOSEFS_MAGIC: u32 = 0xd078_629a;
pub(super) const COMPOSEFS_HEADER_VERSION: u32 = 1;
/// Header flag of V1: some inode has a POSIX ACL.
pub(super) const HAS_ACL: u32 = 1;

pub(super) const SUPERBLOCK_START: u64 = 1024;
pub(super) const SUPERBLOCK_LEN: u64 = 128;
pub(super) const SUPERBLOCK_MAGIC: u32 = 0xe0f5_e1e2;
/// `feature_compat`: inodes have mtimes (2) and attributes a name filter (4).
pub(super) const FEATURE_COMPAT: u32 = 2 | 4;
/// The compatible features that readers of composefs images know: a checksum (1) as well.
pub(super) const FEATURE_COMPAT_KNOWN: u32 = 1 | FEATURE_COMPAT;
/// `feature_incompat`: some file has chunks. composefs' writers use them without saying so.
pub(super) const FEATURE_CHUNKED: u32 = 4;
/// Where inodes start: right after the superblock.
pub(super) const INODES_START: u64 = SUPERBLOCK_START + SUPERBLOCK_LEN;

/// Inode headers: compact and extended.
pub(super) const COMPACT_LEN: u64 = 32;
pub(super) const EXTENDED_LEN: u64 = 64;
/// The bit of `i_format` that says extended.
pub(super) const EXTENDED: u16 = 1;
/// Data layouts in `i_format`: contiguous blocks; the same with a tail after the inode; a table of chunks.
pub(super) const FLAT_PLAIN: u16 = 0;
pub(super) const FLAT_INLINE: u16 = 2 << 1;
pub(super) const CHUNK_BASED: u16 = 4 << 1;

/// The header of an inode's attributes, and of each attribute.
pub(super) const XATTR_HEADER_LEN: u64 = 12;
pub(super) const XATTR_ENTRY_LEN: u64 = 4;
/// Attributes are aligned to this, and references count in it.
pub(super) const XATTR_WORD: u64 = 4;
/// The seed of the name filter's xxh32; the prefix' index is added.
pub(super) const XATTR_FILTER_SEED: u32 = 0x25bb_e08f;

/// A directory entry before its name.
pub(super) const DIRENT_LEN: u64 = 12;

/// The entry of a chunk that is not there: all external files consist of these.
pub(super) const NULL_CHUNK: [u8; 4] = [0xff; 4];
pub(super) const CHUNK_ENTRY_LEN: u64 = 4;
/// V2: every external file is one chunk of this binary logarithm, above that of a block.
pub(super) const CHUNK_FORMAT_V2: u32 = 31;
/// V2: the longest tail that has a place wherever the inode is. What lies before it in its block is 32 bytes at most.
pub(super) const TAIL_MAX_V2: u64 = BLOCK - SLOT;

/// The binary logarithm of a file's chunk size: as few chunks as possible, a block at least, 8 TiB at most.
pub(super) fn chunk_bits(size: u64) -> u32 {
    (u64::BITS - size.saturating_sub(1).leading_zeros()).clamp(BLOCK_BITS, BLOCK_BITS + 31)
}

/// How many chunks a file of this size has.
pub(super) fn chunk_count(size: u64) -> u64 {
    size.div_ceil(1 << chunk_bits(size))
}

/// The type in a directory entry (`EROFS_FT_*`).
pub(super) const fn dirent_type(file_type: FileType) -> u8 {
    match file_type {
        FileType::Regular => 1,
        FileType::Directory => 2,
        FileType::CharDevice => 3,
        FileType::BlockDevice => 4,
        FileType::Fifo => 5,
        FileType::Socket => 6,
        FileType::Symlink => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_chunk_until_chunks_stop_growing() {
        for (size, bits, count) in [
            (1, 12, 1),
            (4096, 12, 1),
            (4097, 13, 1),
            ((4 << 30) + 1, 33, 1),
            (1 << 43, 43, 1),
            ((1 << 43) + 1, 43, 2),
            (crate::tree::OBJECT_MAX, 43, 1024),
        ] {
            assert_eq!((chunk_bits(size), chunk_count(size)), (bits, count), "{size}");
        }
    }
}
