//! Writing a file system: one pass over the inodes, contents first, then what names them, the superblock last.
//!
//! What lives here: giving out blocks, one after the other, and the order of writing. What does not: how anything is encoded.
//! Invariant: a block that is given out is used, so the bitmaps follow from how far the giving out has come.

mod blocks;
mod contents;
mod ends;

use sealstone_store::{
    Control, Error,
    disk::{Dir, Timestamp},
};

use super::{
    Area,
    checksum::Crc,
    dirents,
    format::{BLOCK, FIRST_FREE_INODE, INODE_SIZE},
    geometry::Geometry,
    nodes::{Kind, Nodes},
};
use crate::DeployError;

/// The blocks of `lost+found`, so that e2fsck finds room there.
const LOST_BLOCKS: usize = 4;

/// The longest text of a symlink in the inode itself.
const FAST_SYMLINK: usize = 60;

/// What a new file system is called.
#[derive(Clone, Copy, Debug)]
pub(in crate::install) struct Ext4Options<'a> {
    pub(in crate::install) uuid: [u8; 16],
    pub(in crate::install) hash_seed: [u8; 16],
    /// At most 16 bytes.
    pub(in crate::install) label: &'a str,
    /// When it is made.
    pub(in crate::install) time: Timestamp,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::install) struct Written {
    pub(in crate::install) inodes: u64,
    /// In bytes, all that is not free.
    pub(in crate::install) used: u64,
    /// Files with fs-verity.
    pub(in crate::install) sealed: u64,
}

/// How many blocks and inodes these nodes need, beside the groups' own.
pub(in crate::install) fn blocks_needed(nodes: &Nodes) -> (u64, u64) {
    let blocks = nodes.0.iter().map(|node| {
        let content = match &node.kind {
            Kind::Folder(children) => dirents::blocks(children.iter().map(|(name, _)| name.len())),
            Kind::File(sealing) => {
                let data = node.metadata.size.div_ceil(BLOCK as u64);
                // A hash of 64 bytes a block, their hashes, and the descriptor.
                data + if sealing.is_some() { data / 63 + 4 } else { 0 }
            }
            Kind::Symlink(text) if text.len() < FAST_SYMLINK => 0,
            Kind::Symlink(_) => 1,
            Kind::Device(_) => 0,
        };
        content + u64::from(!node.xattrs.is_empty()) + content / 30_000
    });
    (blocks.sum::<u64>() + LOST_BLOCKS as u64, nodes.0.len() as u64 + u64::from(FIRST_FREE_INODE))
}

/// Writes a file system of the nodes of `root` into an area that reads as zeros.
///
/// # Errors
/// [`Error::NoSpace`] when the area is too small, [`Error::Corrupt`] when a file that gets fs-verity has not the digest that
/// it should have, and the disk's.
pub(in crate::install) fn write(
    area: Area<'_>,
    root: &Dir,
    nodes: &Nodes,
    options: &Ext4Options<'_>,
    control: &Control,
) -> Result<Written, DeployError> {
    // The root has a number of its own.
    let inodes = nodes.0.len() as u64 + u64::from(FIRST_FREE_INODE) - 2;
    // As many again stay free for updates.
    let geometry = Geometry::of(area.size(), inodes.saturating_mul(2)).ok_or_else(|| no_space(root))?;
    let seed = Crc::new().with(&options.uuid);
    let table = vec![0; usize::try_from(inodes).unwrap_or_default() * INODE_SIZE];
    let mut writer = Writer {
        area,
        root,
        geometry,
        seed,
        options,
        next: geometry.data(0),
        table,
        folders: vec![0; usize::try_from(geometry.groups).unwrap_or_default()],
        written: Written { inodes, ..Written::default() },
    };
    let journal = writer.journal()?;
    writer.lost_and_found()?;
    for node in &nodes.0 {
        control.check().map_err(|_| Error::Cancelled)?;
        writer.node(node, nodes)?;
    }
    writer.finish(&journal)
}

fn no_space(root: &Dir) -> DeployError {
    Error::NoSpace { op: "write the file system of", path: root.label().to_owned() }.into()
}

struct Writer<'a> {
    area: Area<'a>,
    root: &'a Dir,
    geometry: Geometry,
    seed: Crc,
    options: &'a Ext4Options<'a>,
    /// The next block that is given out.
    next: u64,
    /// The inodes, from the first on.
    table: Vec<u8>,
    /// How many folders each group has.
    folders: Vec<u32>,
    written: Written,
}
