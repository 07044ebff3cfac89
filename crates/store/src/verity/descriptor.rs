//! The fs-verity descriptor, whose digest is the id of a file.
//!
//! Only its encoding lives here. Layout (`struct fsverity_descriptor` of Linux), 256 bytes: version 1, hash algorithm,
//! log2 of the block size, salt size 0, signature size 0 (u32), data size (u64 LE), root hash (64 bytes, a shorter one
//! zero-padded), salt (32) and reserved (144), all zeros. The zeros at the end are left to the lane, which pads.

use super::lanes::{self, Frame};
use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// The bytes of a descriptor before its zeros: the fixed fields and the root hash.
pub(super) const HEAD: usize = 16 + 64;

/// The head of the descriptor of a file of `size` bytes with this root hash (zeros after its digest).
pub(super) fn head(algorithm: Algorithm, size: u64, root: &[u8; 64]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (fields, hash) = head.split_at_mut(16);
    let (fixed, data_size) = fields.split_at_mut(8);
    let log2_block = BLOCK_SIZE.trailing_zeros().to_le_bytes();
    fixed.copy_from_slice(&[1, algorithm.kernel_number(), log2_block[0], 0, 0, 0, 0, 0]);
    data_size.copy_from_slice(&size.to_le_bytes());
    hash.copy_from_slice(root);
    head
}

/// The id of a file of `size` bytes with this root hash.
pub(super) fn digest(algorithm: Algorithm, size: u64, root: &[u8; 64]) -> ObjectId {
    let head = head(algorithm, size, root);
    ObjectId::from_padded(algorithm, lanes::hash_one(algorithm, Frame::Descriptor, &head))
}
