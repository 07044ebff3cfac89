//! EROFS images in composefs' formats V1 and V2: the writer ([`write()`], [`write_version`]) and the reader ([`Image`]).
//!
//! What lives here: the layout of `linux/fs/erofs/erofs_fs.h` as far as composefs uses it, byte-identical to C
//! `mkcomposefs --min-version=1` 1.0.8 (V1) and to the crate `composefs` 0.9.4 (both). What does not: the tree
//! ([`crate::tree`]), objects, mounts. An image's id is the fs-verity digest of its bytes, so every byte here is a
//! promise: no rule may change, only another format version can be added beside it.
//!
//! An image is: a 32-byte composefs header, zeros up to 1,024, a 128-byte superblock, the inodes (each with its
//! attributes and its tail of content) in slots of 32 bytes, the table of shared attributes, zeros up to a block, and
//! blocks of 4,096 bytes with what is no tail. The versions differ in the order of inodes, in what their headers keep,
//! and in what the writer adds for overlayfs; the same code writes both, and asks for the version once an inode at most.

mod attributes;
mod dirents;
mod emit;
mod error;
mod format;
mod image;
mod inode;
mod layout;
mod objects;
mod order;
mod read_tree;
mod sharing;
mod stored_xattrs;
mod version;
mod xattr_name;

pub use error::ImageError;
pub use image::{Format, Image};
pub use version::{ParseVersionError, Version};

use crate::tree::{Tree, TreeError};

/// The image of a tree, in format V1. What the root does not reach is not in it.
///
/// # Errors
/// [`TreeError::TooBig`] when the image would exceed 128 GiB, which the format's numbers cannot express here.
pub fn write(tree: &Tree) -> Result<Vec<u8>, TreeError> {
    write_version(tree, Version::V1)
}

/// The image of a tree in a format of one's choice. V2 keeps no nanoseconds.
///
/// # Errors
/// [`TreeError::TooBig`] when the image would exceed what the format's numbers express: 128 GiB, and 16 GiB in V2; in
/// V2 also for contents inside the image and symlinks' targets that no block holds beside what lies before them (above
/// 4,064 bytes), since the crate `composefs` writes images of such that no kernel reads.
pub fn write_version(tree: &Tree, version: Version) -> Result<Vec<u8>, TreeError> {
    let mut order = order::Order::new(tree, version);
    let sharing = sharing::Sharing::new(&mut order)?;
    let layout = layout::Layout::new(&order, &sharing)?;
    Ok(emit::Emitter::new(&order, &sharing, &layout).image())
}
