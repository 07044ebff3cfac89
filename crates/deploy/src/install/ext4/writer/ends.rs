//! What a file system has before and after the tree: journal, `lost+found`, bitmaps, tables, superblocks.

use super::{LOST_BLOCKS, Writer, Written};
use crate::{
    DeployError,
    install::ext4::{
        dirents::{self, Dirent},
        format::{
            BLOCK, EXTENTS_FLAG, GROUP_BLOCKS, INODE_SIZE, JOURNAL_INODE, LOST_AND_FOUND, ROOT_INODE, high32,
            low32, put, put32,
        },
        geometry::{Geometry, has_superblock},
        inode::{Inode, crc_of},
        journal,
        superblock::{self, GroupUse, Identity},
    },
};

use super::contents::FOLDER;

/// The bytes of a superblock before it in the first block.
const BOOT_BLOCK: u64 = 1024;

impl Writer<'_> {
    fn own(&self, mode: u16, links: u16) -> Inode {
        Inode {
            mode,
            uid: 0,
            gid: 0,
            links,
            size: 0,
            blocks: 0,
            flags: EXTENTS_FLAG,
            mtime: self.options.time,
            ctime: self.options.time,
            xattr_block: 0,
            body: [0; 60],
            xattrs: Vec::new(),
        }
    }

    /// Makes the journal; gives the copy of its place that the superblock has.
    pub(super) fn journal(&mut self) -> Result<[u8; 68], DeployError> {
        let blocks = journal::blocks(self.geometry.blocks);
        let mut runs = Vec::new();
        self.place(&mut runs, 0, blocks)?;
        self.put(&runs, 0, &journal::superblock(blocks, &self.options.uuid))?;
        let mut inode = self.own(0o10_0600, 1);
        inode.size = blocks * BLOCK as u64;
        self.extents(JOURNAL_INODE, &runs, &mut inode)?;
        self.keep(JOURNAL_INODE, &inode);
        let mut copy = [0; 68];
        put(&mut copy, 0, &inode.body);
        put32(&mut copy, 60, high32(inode.size));
        put32(&mut copy, 64, low32(inode.size));
        Ok(copy)
    }

    pub(super) fn lost_and_found(&mut self) -> Result<(), DeployError> {
        let mut inode = self.own(0o4_0700, 2);
        let own = Dirent { inode: LOST_AND_FOUND, kind: FOLDER, name: b"." };
        let above = Dirent { inode: ROOT_INODE, kind: FOLDER, name: b".." };
        let crc = crc_of(self.seed, LOST_AND_FOUND);
        let bytes = dirents::encode([own, above].into_iter(), LOST_BLOCKS, crc);
        self.body(LOST_AND_FOUND, &bytes, &mut inode)?;
        self.keep(LOST_AND_FOUND, &inode);
        self.count_folder(LOST_AND_FOUND);
        Ok(())
    }

    pub(super) fn count_folder(&mut self, number: u32) {
        let group = (number - 1) / self.geometry.inodes_per_group;
        if let Some(count) = self.folders.get_mut(group as usize) {
            *count += 1;
        }
    }

    /// Bitmaps and tables, then the superblocks: the first superblock is the last that is written.
    pub(super) fn finish(mut self, journal: &[u8; 68]) -> Result<Written, DeployError> {
        let mut uses = Vec::new();
        for group in 0..self.geometry.groups {
            uses.push(self.group(group)?);
        }
        let table = superblock::groups(&self.geometry, &uses, self.seed);
        let identity = Identity {
            uuid: &self.options.uuid,
            hash_seed: &self.options.hash_seed,
            label: self.options.label,
            time: self.options.time.sec,
        };
        for group in (0..self.geometry.groups).rev().filter(|group| has_superblock(*group)) {
            let start = Geometry::start(group) * BLOCK as u64;
            self.area.write(start + BLOCK as u64, &table)?;
            let bytes = superblock::encode(&self.geometry, identity, &uses, journal, group);
            let skipped = if group == 0 { BOOT_BLOCK } else { 0 };
            self.area.write(start + skipped, &bytes)?;
        }
        let free: u64 = uses.iter().map(|group| group.free_blocks).sum();
        self.written.used = (self.geometry.blocks - free) * BLOCK as u64;
        Ok(self.written)
    }

    /// Writes a group's bitmaps and its part of the inodes.
    fn group(&self, group: u64) -> Result<GroupUse, DeployError> {
        let geometry = &self.geometry;
        let (start, end) = (Geometry::start(group), geometry.end(group));
        let used_to = self.next.clamp(geometry.data(group), end);
        let mut blocks = vec![0; BLOCK];
        set_bits(&mut blocks, 0, used_to - start);
        set_bits(&mut blocks, end - start, GROUP_BLOCKS);
        let per_group = u64::from(geometry.inodes_per_group);
        let all = (self.table.len() / INODE_SIZE) as u64;
        let used = all.saturating_sub(group * per_group).min(per_group);
        let mut inodes = vec![0; BLOCK];
        set_bits(&mut inodes, 0, used);
        set_bits(&mut inodes, per_group, GROUP_BLOCKS);
        self.area.write(geometry.block_bitmap(group) * BLOCK as u64, &blocks)?;
        self.area.write(geometry.inode_bitmap(group) * BLOCK as u64, &inodes)?;
        let first = usize::try_from(group * per_group).unwrap_or(usize::MAX).saturating_mul(INODE_SIZE);
        let bytes = usize::try_from(used).unwrap_or_default() * INODE_SIZE;
        if let Some(part) = self.table.get(first..first.saturating_add(bytes)) {
            self.area.write(geometry.inode_table(group) * BLOCK as u64, part)?;
        }
        let unused = u32::try_from(per_group - used).unwrap_or_default();
        let counted = inodes.get(..usize::try_from(per_group / 8).unwrap_or_default()).unwrap_or_default();
        Ok(GroupUse {
            free_blocks: end - used_to,
            free_inodes: unused,
            folders: self
                .folders
                .get(usize::try_from(group).unwrap_or(usize::MAX))
                .copied()
                .unwrap_or_default(),
            unused_inodes: unused,
            block_bitmap: self.seed.with(&blocks),
            inode_bitmap: self.seed.with(counted),
        })
    }
}

/// Sets the bits from one number to below another.
fn set_bits(bitmap: &mut [u8], from: u64, to: u64) {
    for bit in from..to {
        if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|index| bitmap.get_mut(index)) {
            *byte |= 1 << (bit % 8);
        }
    }
}
