//! Hashing many zero-padded messages of one fixed length at once.
//!
//! Everything in an fs-verity digest is such a message: a block of data or of digests (4,096 bytes) or a descriptor
//! (256). What lives here: which implementation hashes which of them. What does not: the rounds themselves
//! (`raw/`), and how lanes are kept in step (`group.rs`). The result never depends on the choice.

use sha2::{Digest as _, Sha256, Sha512};

#[cfg(target_arch = "x86_64")]
use super::group;
#[cfg(target_arch = "x86_64")]
use crate::raw::{sha_ni::ShaNi, sha2_avx::Avx2, sha2_avx::Avx512};
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
    pub(super) const fn len(self) -> usize {
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
        Processor::detect().hash_all(algorithm, frame, &[body], place);
    }
    digest
}

/// Hashes each body, zero-padded to the frame, and writes the digests one after the other into `out`.
///
/// A body is never longer than the frame, and `out` has room for exactly one digest a body.
pub(super) fn hash_all(algorithm: Algorithm, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    debug_assert_eq!(out.len(), bodies.len() * algorithm.digest_len());
    let processor = Processor::detect();
    let len = bodies.first().map_or(0, |body| body.len());
    if bodies.len() > GROUP && bodies.iter().any(|body| body.len() != len) {
        hash_by_length(processor, algorithm, frame, bodies, out);
    } else {
        processor.hash_all(algorithm, frame, bodies, out);
    }
}

/// Groups bodies of like length, since lanes that come to their zeros together save those blocks' schedules.
fn hash_by_length(
    processor: Processor,
    algorithm: Algorithm,
    frame: Frame,
    bodies: &[&[u8]],
    out: &mut [u8],
) {
    let mut order: Vec<(usize, usize)> = bodies.iter().map(|body| body.len()).zip(0..).collect();
    order.sort_unstable();
    let len = algorithm.digest_len();
    for group in order.chunks(GROUP) {
        let mut lanes: [&[u8]; GROUP] = [&[]; GROUP];
        for (lane, (_, index)) in lanes.iter_mut().zip(group) {
            *lane = bodies.get(*index).copied().unwrap_or_default();
        }
        let mut digests = [0; GROUP * 64];
        if let (Some(lanes), Some(digests)) = (lanes.get(..group.len()), digests.get_mut(..group.len() * len))
        {
            processor.hash_all(algorithm, frame, lanes, digests);
        }
        for ((_, index), digest) in group.iter().zip(digests.chunks_exact(len)) {
            if let Some(place) = out.get_mut(index * len..(index + 1) * len) {
                place.copy_from_slice(digest);
            }
        }
    }
}

/// What this processor has for hashing, or what a test wants to be used.
///
/// Measured on a Xeon with all of it (the thresholds follow): SHA-256 one lane of SHA-NI 1.4 GB/s, two 1.9, sixteen of
/// AVX-512 3.2; SHA-512 portable 0.5 GB/s, four lanes of AVX2 1.0, eight of AVX-512 2.5. A group of lanes costs the
/// same however few are filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Processor {
    #[cfg(target_arch = "x86_64")]
    pub(super) sha_ni: Option<ShaNi>,
    #[cfg(target_arch = "x86_64")]
    pub(super) avx512: Option<Avx512>,
    #[cfg(target_arch = "x86_64")]
    pub(super) avx2: Option<Avx2>,
}

impl Processor {
    #[cfg(target_arch = "x86_64")]
    pub(super) fn detect() -> Self {
        Self { sha_ni: ShaNi::detect(), avx512: Avx512::detect(), avx2: Avx2::detect() }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn detect() -> Self {
        Self::default()
    }

    /// How many bodies it takes to fill the lanes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn width(self, algorithm: Algorithm) -> usize {
        match algorithm {
            Algorithm::Sha256 if self.avx512.is_some() => 16,
            Algorithm::Sha256 if self.sha_ni.is_some() => 2,
            Algorithm::Sha512 if self.avx512.is_some() => 8,
            Algorithm::Sha512 if self.avx2.is_some() => 4,
            _ => 1,
        }
    }

    /// How many bodies it takes to fill the lanes.
    #[cfg(not(target_arch = "x86_64"))]
    #[allow(clippy::unused_self, reason = "the signature of the other architecture")]
    pub(super) fn width(self, _: Algorithm) -> usize {
        1
    }

    pub(super) fn hash_all(self, algorithm: Algorithm, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
        let digests = GROUP * algorithm.digest_len();
        for (bodies, out) in bodies.chunks(GROUP).zip(out.chunks_mut(digests)) {
            match algorithm {
                Algorithm::Sha256 => self.hash_group_256(frame, bodies, out),
                Algorithm::Sha512 => self.hash_group_512(frame, bodies, out),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn hash_group_256(self, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
        let few = if self.sha_ni.is_some() { 8 } else { 1 };
        match (self.avx512, self.sha_ni) {
            (Some(proof), _) if bodies.len() > few => group::sha256_by_16(proof, frame, bodies, out),
            (_, Some(proof)) => {
                for (pair, out) in bodies.chunks(2).zip(out.chunks_mut(64)) {
                    group::sha256_by_2(proof, frame, pair, out);
                }
            }
            _ => portable(Algorithm::Sha256, frame, bodies, out),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn hash_group_512(self, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
        let lanes = if self.avx512.is_some() { 8 } else { 4 };
        for (bodies, out) in bodies.chunks(lanes).zip(out.chunks_mut(lanes * 64)) {
            match (self.avx512, self.avx2) {
                (Some(proof), _) if bodies.len() > 1 => group::sha512_by_8(proof, frame, bodies, out),
                (_, Some(proof)) if (2..=4).contains(&bodies.len()) => {
                    group::sha512_by_4(proof, frame, bodies, out);
                }
                _ => portable(Algorithm::Sha512, frame, bodies, out),
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hash_group_256(self, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
        portable(Algorithm::Sha256, frame, bodies, out);
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hash_group_512(self, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
        portable(Algorithm::Sha512, frame, bodies, out);
    }
}

/// One message after the other, by the crate `sha2`.
fn portable(algorithm: Algorithm, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
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
