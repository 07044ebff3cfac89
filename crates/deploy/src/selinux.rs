//! SELinux labels of an image, computed from the image's own policy, without SELinux on this machine.
//!
//! What lives here: finding the policy in a tree and its parts: [`Policy`] (the files), `matcher` (the patterns),
//! `label` (the walk). What does not: the host's policy, compiled `.bin` files, any call to the kernel.
//! Invariant: labels equal those of the crate `composefs-boot` 0.9.4 for every tree, since an image's id depends on
//! them. That fixes one thing which libselinux does the other way round: `.homedirs` is read after `.local`.

mod label;
mod matcher;
mod policy;
mod read;

#[cfg(test)]
mod tests;

pub use label::label;
pub(crate) use label::label_missing;
pub use policy::{Policy, PolicyFiles};
pub use read::{ReadObject, read_policy};

/// The extended attribute that holds a label.
pub const SELINUX_XATTR: &[u8] = b"security.selinux";
