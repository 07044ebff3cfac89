//! Boot artefacts: kernels, entries of the Boot Loader Specification, the ESP and its durable writes, kernel arguments.
//!
//! What lives here: what a boot loader reads, as types, and the one order in which a boot partition is written (rule
//! D9). What never does: layers, deployment records, the policy of what to keep or to boot.

mod bls;
mod composefs_arg;
mod entry_name;
mod error;
mod karg;
mod kargs;
mod os_release;
mod version;

pub use bls::{BlsEntry, ENTRY_MAX, SEALSTONE_ID_KEY};
pub use composefs_arg::{ComposefsArg, ErofsVersion};
pub use entry_name::{EntryName, Rank, menu_order};
pub use error::BootError;
pub use karg::Karg;
pub use kargs::{COMMAND_LINE_MAX, Kargs};
pub use os_release::OsRelease;
pub use version::compare_versions;
