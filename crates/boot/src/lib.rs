//! Boot artefacts: kernels, entries of the Boot Loader Specification, the ESP and its durable writes, kernel arguments.
//!
//! What lives here: what a boot loader reads, as types, and the one order in which a boot partition is written (rule
//! D9). What never does: layers, deployment records, the policy of what to keep or to boot.

mod blob;
mod bls;
mod boot_digest;
mod composefs_arg;
mod entry_changes;
mod entry_name;
mod error;
mod esp;
mod karg;
mod kargs;
mod kernel;
mod kernel_sizes;
mod os_release;
mod version;

pub use blob::Blob;
pub use bls::{BlsEntry, ENTRY_MAX, SEALSTONE_ID_KEY};
pub use boot_digest::BootDigest;
pub use composefs_arg::{ComposefsArg, ErofsVersion};
pub use entry_changes::{EntryChange, entry_changes};
pub use entry_name::{EntryName, Rank, menu_order};
pub use error::BootError;
pub use esp::{Esp, FoundEntry};
pub use karg::Karg;
pub use kargs::{COMMAND_LINE_MAX, Kargs};
pub use kernel::{Kernel, find_ukis};
pub use kernel_sizes::KernelSizes;
pub use os_release::OsRelease;
pub use version::compare_versions;
