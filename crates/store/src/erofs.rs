//! EROFS images in composefs' format V1: the writer ([`write()`]) and the reader ([`Image`]).
//!
//! What lives here: the layout of `linux/fs/erofs/erofs_fs.h` as far as composefs uses it, byte-identical to C
//! `mkcomposefs --min-version=1` 1.0.8 and to the crate `composefs` 0.9.4. What does not: the tree ([`crate::tree`]),
//! objects, mounts. An image's id is the fs-verity digest of its bytes, so every byte here is a promise: no rule may
//! change, only another format version can be added beside it.
//!
//! An image is: a 32-byte composefs header, zeros up to 1,024, a 128-byte superblock, the inodes in breadth-first
//! order (each with its attributes and its tail of content) in slots of 32 bytes, the table of shared attributes,
//! zeros up to a block, and blocks of 4,096 bytes with what is no tail.

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
mod xattr_name;

pub use error::ImageError;
pub use image::{Format, Image};

use crate::tree::{Tree, TreeError};

/// The image of a tree, in format V1. What the root does not reach is not in it.
///
/// # Errors
/// [`TreeError::TooBig`] when the image would exceed 128 GiB, which the format's numbers cannot express here.
pub fn write(tree: &Tree) -> Result<Vec<u8>, TreeError> {
    let mut order = order::Order::new(tree);
    let sharing = sharing::Sharing::new(&mut order)?;
    let layout = layout::Layout::new(&order, &sharing)?;
    Ok(emit::Emitter::new(&order, &sharing, &layout).image())
}
