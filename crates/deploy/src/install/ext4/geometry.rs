//! Where the fixed parts of a file system are: groups, superblocks, bitmaps, tables of inodes.

use super::format::{BLOCK, DESCRIPTOR, GROUP_BLOCKS, INODE_SIZE};

/// One inode for so many bytes, as mke2fs has it.
const BYTES_PER_INODE: u64 = 16384;

/// A last group that is smaller than its own tables and this is left out.
const LEAST_IN_GROUP: u64 = 64;

/// The measures of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// All blocks.
    pub(super) blocks: u64,
    /// The groups.
    pub(super) groups: u64,
    /// The inodes of a group; a multiple of those in a block.
    pub(super) inodes_per_group: u32,
}

impl Geometry {
    /// For so many bytes and at least so many inodes; none if that is too small.
    pub(super) fn of(bytes: u64, inodes: u64) -> Option<Self> {
        let blocks = bytes / BLOCK as u64;
        let groups = blocks.div_ceil(GROUP_BLOCKS);
        let usual = (blocks * BLOCK as u64 / BYTES_PER_INODE).max(inodes).div_ceil(groups.max(1));
        let per_block = (BLOCK / INODE_SIZE) as u64;
        // A bitmap of inodes is one block; its whole bytes are used.
        let inodes_per_group = usual.next_multiple_of(per_block).clamp(per_block, GROUP_BLOCKS);
        let inodes_per_group = u32::try_from(inodes_per_group).ok()?;
        let mut geometry = Self { blocks, groups, inodes_per_group };
        let last = groups.checked_sub(1)?;
        let in_last = blocks - last * GROUP_BLOCKS;
        if in_last < geometry.overhead(last) + LEAST_IN_GROUP {
            geometry.blocks = last * GROUP_BLOCKS;
            geometry.groups = last;
        }
        let inodes_fit = geometry.inodes() >= inodes && u32::try_from(geometry.inodes()).is_ok();
        (geometry.groups > 0 && inodes_fit).then_some(geometry)
    }

    /// All inodes.
    pub(super) fn inodes(&self) -> u64 {
        self.groups * u64::from(self.inodes_per_group)
    }

    /// The blocks of the table of groups.
    pub(super) const fn descriptor_blocks(&self) -> u64 {
        self.groups.div_ceil((BLOCK / DESCRIPTOR) as u64)
    }

    /// The blocks of a group's table of inodes.
    pub(super) fn table_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group) / (BLOCK / INODE_SIZE) as u64
    }

    pub(super) const fn start(group: u64) -> u64 {
        group * GROUP_BLOCKS
    }

    /// The block after the group's last.
    pub(super) fn end(&self, group: u64) -> u64 {
        self.blocks.min((group + 1) * GROUP_BLOCKS)
    }

    /// The blocks of a group before its bitmaps: superblock and groups, where there are copies.
    fn copies(&self, group: u64) -> u64 {
        if has_superblock(group) { 1 + self.descriptor_blocks() } else { 0 }
    }

    pub(super) fn block_bitmap(&self, group: u64) -> u64 {
        Self::start(group) + self.copies(group)
    }

    pub(super) fn inode_bitmap(&self, group: u64) -> u64 {
        self.block_bitmap(group) + 1
    }

    pub(super) fn inode_table(&self, group: u64) -> u64 {
        self.block_bitmap(group) + 2
    }

    /// The blocks of a group that are its own.
    pub(super) fn overhead(&self, group: u64) -> u64 {
        self.copies(group) + 2 + self.table_blocks()
    }

    /// The first block of a group for data.
    pub(super) fn data(&self, group: u64) -> u64 {
        Self::start(group) + self.overhead(group)
    }
}

/// Whether a group has a copy of the superblock (`sparse_super`): 0, 1 and powers of 3, 5, 7.
pub(super) const fn has_superblock(group: u64) -> bool {
    const fn is_power(mut group: u64, of: u64) -> bool {
        while group > 1 && group.is_multiple_of(of) {
            group /= of;
        }
        group == 1
    }
    group <= 1 || is_power(group, 3) || is_power(group, 5) || is_power(group, 7)
}
