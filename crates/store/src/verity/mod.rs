//! The fs-verity digest, computed in user space.
//!
//! What lives here: the digest of bytes in memory ([`digest`], [`digest_many`], [`digest_parallel`]), of what is
//! read by offsets ([`digest_read`]) and of a stream ([`Hasher`]), and what a file system keeps of it ([`Sealer`]). The kernel's side, [`enable`] and [`measure`], is only re-exported:
//! the disk calls it. What does not live here: files, and what a repository does with digests.
//!
//! The rules are Linux's (`Documentation/filesystems/fsverity.rst`), with 4,096-byte blocks and no salt: each block,
//! zero-padded, is hashed; the digests, packed into blocks, are hashed again, up to a level of one digest, the root
//! (all zeros for an empty file). The digest of a descriptor of 256 bytes that holds the root and the size is the id.
//!
//! Blocks are independent, so they are hashed several at a time in the lanes of one processor (`lanes.rs`).

mod descriptor;
#[cfg(target_arch = "x86_64")]
mod group;
mod hasher;
mod lanes;
mod levels;
mod many;
mod parallel;
mod seal;

#[cfg(test)]
mod tests;

use lanes::Frame;
use levels::Levels;

pub use hasher::Hasher;
pub use many::digest_many;
pub use parallel::{digest_parallel, digest_read};
pub use seal::{DESCRIPTOR_SIZE, Seal, Sealer};

pub use crate::raw::verity_ioctl::{VerityError, enable, measure};

use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// The fs-verity digest of `data`.
///
/// ```
/// use sealstone_store::{Algorithm, verity};
///
/// let id = verity::digest(Algorithm::Sha256, b"");
/// assert_eq!(id.to_hex(), "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95");
/// ```
#[must_use]
pub fn digest(algorithm: Algorithm, data: &[u8]) -> ObjectId {
    if data.len() <= BLOCK_SIZE {
        let root = if data.is_empty() { [0; 64] } else { lanes::hash_one(algorithm, Frame::Block, data) };
        return descriptor::digest(algorithm, data.len() as u64, &root);
    }
    let mut levels = Levels::new(algorithm);
    levels.add_blocks(data);
    descriptor::digest(algorithm, data.len() as u64, &levels.root())
}
