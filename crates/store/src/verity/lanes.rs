//! Hashing many zero-padded messages of one fixed length at once.
//!
//! Everything in an fs-verity digest is such a message: a block of data or of digests (4,096 bytes) or a descriptor
//! (256). This module picks the widest implementation that the processor has; the result never depends on which.

use sha2::{Digest as _, Sha256, Sha512};

use crate::{Algorithm, BLOCK_SIZE};

/// As many messages as it makes sense to offer in one call: the widest lanes there are.
pub(super) const GROUP: usize = 16;

/// The length that a message is zero-padded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// 4,096 bytes: a block of data or of digests.
    Block,
    /// 256 bytes: a descriptor.
    Descriptor,
}

impl Frame {
    const fn len(self) -> usize {
        match self {
            Self::Block => BLOCK_SIZE,
            Self::Descriptor => 256,
        }
    }
}

/// The digest of one message, in the first bytes; zeros after it.
pub(super) fn hash_one(algorithm: Algorithm, frame: Frame, body: &[u8]) -> [u8; 64] {
    let mut digest = [0; 64];
    if let Some(place) = digest.get_mut(..algorithm.digest_len()) {
        hash_all(algorithm, frame, &[body], place);
    }
    digest
}

/// Hashes each body, zero-padded to the frame, and writes the digests one after the other into `out`.
///
/// A body is never longer than the frame, and `out` has room for exactly one digest a body.
pub(super) fn hash_all(algorithm: Algorithm, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    debug_assert_eq!(out.len(), bodies.len() * algorithm.digest_len());
    for (body, place) in bodies.iter().zip(out.chunks_exact_mut(algorithm.digest_len())) {
        let padding = ZEROS.get(..frame.len().saturating_sub(body.len())).unwrap_or_default();
        match algorithm {
            Algorithm::Sha256 => {
                place.copy_from_slice(&Sha256::new().chain_update(body).chain_update(padding).finalize());
            }
            Algorithm::Sha512 => {
                place.copy_from_slice(&Sha512::new().chain_update(body).chain_update(padding).finalize());
            }
        }
    }
}

static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
