//! The only unsafe code of this crate: ioctls, memory maps, the allocator's thresholds, namespaces, the child that thaws a
//! frozen file system, and the processor's hash instructions.
//!
//! Each file wraps one thing in a safe interface and argues for it at each `unsafe`; nothing else lives here, above
//! all no policy. A change in this folder deserves a second reader.
#![allow(unsafe_code, reason = "this is the place for it, see above")]

pub(crate) mod freeze;
pub(crate) mod fs_uuid;
pub(crate) mod heap;
pub(crate) mod loop_device;
pub(crate) mod map;
pub(crate) mod namespace;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha2_avx;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there the crate sha2 has the rounds"))]
pub(crate) mod sha2_tables;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod vectors;
pub(crate) mod verity_ioctl;

/// What SHA-256 begins with.
pub(crate) const fn sha2_start_256() -> [u32; 8] {
    sha2_tables::START_256
}

/// Absorbs as many blocks of two streams as the shorter has, if this processor has instructions that gain by that; says
/// whether it did.
pub(crate) fn hash_two_streams(states: [&mut [u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = sha_ni::ShaNi::detect() {
        let [a, b] = states;
        let mut both = sha_ni::Sha256::resume(proof, [*a, *b]);
        both.absorb(blocks);
        (*a, *b) = (both.state(0), both.state(1));
        return true;
    }
    let _ = (states, blocks);
    false
}
