//! The only unsafe code of this crate: the fs-verity ioctls, memory maps, the allocator's thresholds,
//! and the processor's hash instructions.
//!
//! Each file wraps one thing in a safe interface and argues for it at each `unsafe`; nothing else lives here, above
//! all no policy. A change in this folder deserves a second reader.
#![allow(unsafe_code, reason = "this is the place for it, see above")]

pub(crate) mod heap;
pub(crate) mod loop_device;
pub(crate) mod map;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha2_avx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha2_tables;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod vectors;
pub(crate) mod verity_ioctl;
