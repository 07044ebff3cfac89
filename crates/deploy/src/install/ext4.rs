//! An ext4 file system made from a staged tree, with its files' fs-verity, without a kernel, root or any program.
//!
//! What lives here: the format, as far as a new file system needs it, and the one pass that writes one. What does not: the
//! tree, partitions. Source: Linux' `Documentation/filesystems/ext4/` and `fs/ext4/verity.c`; e2fsck is the tests' oracle.
//! Why not mke2fs and debugfs: their trees have the times and the order of the staged files, their script takes no name with
//! a newline, and both would have to be on every machine that makes a disk.
//! Invariants: equal trees, UUIDs and times give equal bytes; blocks of zeros are not written, so that the file stays sparse.

mod area;
mod checksum;
mod dirents;
mod extents;
mod format;
mod geometry;
mod inode;
mod journal;
mod nodes;
mod superblock;
mod writer;
mod xattrs;

pub(super) use area::Area;
pub(super) use nodes::{Nodes, Sealing};
pub(super) use writer::{Ext4Options, blocks_needed, write};

#[cfg(test)]
mod tests;
#[cfg(test)]
use writer::Written;
