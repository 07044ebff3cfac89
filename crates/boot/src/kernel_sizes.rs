//! What a kernel with its initramfs takes on a boot partition.
//!
//! What lives here: plain values, measured once in the image. What does not: clusters, free space (the ESP).

use crate::BootDigest;

/// What a kernel takes on a boot partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KernelSizes {
    /// The digest of the pair.
    pub digest: BootDigest,
    /// The kernel's size in bytes.
    pub vmlinuz: u64,
    /// The initramfs' size in bytes.
    pub initramfs: u64,
}
