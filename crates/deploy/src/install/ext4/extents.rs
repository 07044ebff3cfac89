//! Where a file's blocks are: runs of blocks, in the inode or in one level of blocks below it.

use super::{
    checksum::Crc,
    format::{BLOCK, high32, low16, low32, put16, put32},
};

/// The runs that fit the inode, and a block.
const IN_INODE: usize = 4;
const IN_BLOCK: usize = (BLOCK - 12 - 4) / 12;

/// The most runs of a file: 170 GiB, if its groups are empty.
pub(super) const RUNS_MAX: usize = IN_INODE * IN_BLOCK;

/// Adjacent blocks of a file that are adjacent on the disk; 32,768 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first block in the file.
    pub(super) logical: u64,
    /// The first block on the disk.
    pub(super) physical: u64,
    pub(super) blocks: u16,
}

/// How many blocks the runs need beside the inode.
pub(super) const fn leaves(runs: usize) -> usize {
    if runs <= IN_INODE { 0 } else { runs.div_ceil(IN_BLOCK) }
}

/// The 60 bytes in the inode, and the blocks below it, whose places are given.
pub(super) fn encode(runs: &[Run], places: &[u64], inode_crc: Crc) -> ([u8; 60], Vec<Vec<u8>>) {
    let mut root = [0; 60];
    if places.is_empty() {
        header(&mut root, runs.len(), IN_INODE, 0);
        runs.iter().enumerate().for_each(|(index, run)| put_run(&mut root, index, *run));
        return (root, Vec::new());
    }
    header(&mut root, places.len(), IN_INODE, 1);
    let mut blocks = Vec::new();
    for (index, (runs, place)) in runs.chunks(IN_BLOCK).zip(places).enumerate() {
        let at = 12 + 12 * index;
        put32(&mut root, at, low32(runs.first().map_or(0, |run| run.logical)));
        put32(&mut root, at + 4, low32(*place));
        put16(&mut root, at + 8, low16(place >> 32));
        let mut block = vec![0; BLOCK];
        header(&mut block, runs.len(), IN_BLOCK, 0);
        runs.iter().enumerate().for_each(|(index, run)| put_run(&mut block, index, *run));
        let tail = 12 + 12 * IN_BLOCK;
        let crc = inode_crc.with(block.get(..tail).unwrap_or_default());
        put32(&mut block, tail, crc.value());
        blocks.push(block);
    }
    (root, blocks)
}

fn header(buffer: &mut [u8], entries: usize, max: usize, depth: u16) {
    put16(buffer, 0, 0xf30a);
    put16(buffer, 2, low16(entries as u64));
    put16(buffer, 4, low16(max as u64));
    put16(buffer, 6, depth);
}

fn put_run(buffer: &mut [u8], index: usize, run: Run) {
    let at = 12 + 12 * index;
    put32(buffer, at, low32(run.logical));
    put16(buffer, at + 4, run.blocks);
    put16(buffer, at + 6, low16(u64::from(high32(run.physical))));
    put32(buffer, at + 8, low32(run.physical));
}
