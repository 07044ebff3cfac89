//! Boot artefacts: kernels, entries of the Boot Loader Specification, the ESP and its durable writes, kernel arguments.
//!
//! What lives here: what a boot loader reads, as types, and the one order in which a boot partition is written (rule
//! D9). What never does: layers, deployment records, the policy of what to keep or to boot.
//!
//! ```
//! use sealstone_boot::{BlsEntry, EntryName, Esp, Kargs, OsRelease, Rank};
//! use sealstone_store::disk::{Dir, RealDisk};
//!
//! let mut kargs: Kargs = "root=UUID=1 quiet".parse()?;
//! kargs.remove(&"quiet".parse()?);
//! let mut entry = BlsEntry::new();
//! entry.set("title", "Debian 13")?.set("options", &kargs.to_string())?.set("linux", "/vmlinuz")?;
//! let name = EntryName::new(&OsRelease::parse("ID=debian"), "13", Rank::Primary)?;
//!
//! let folder = tempfile::tempdir()?;
//! let esp = Esp::new(Dir::open(&RealDisk::shared(), folder.path())?);
//! esp.write_entry(&name, &entry)?;
//! assert!(folder.path().join("loader/entries/bootc_debian-13-1.conf").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod blob;
mod bls;
mod boot_digest;
mod boot_files;
mod boot_pair;
mod boot_target;
mod composefs_arg;
mod counting;
mod efi_variables;
mod entry_changes;
mod entry_name;
mod error;
mod esp;
mod gpt;
mod karg;
mod kargs;
mod kernel;
mod kernel_sizes;
mod loader;
mod os_release;
mod root_conf;
#[cfg(test)]
mod testing;
pub mod uki;
mod version;

pub use blob::Blob;
pub use bls::{BlsEntry, ENTRY_MAX, SEALSTONE_ID_KEY};
pub use boot_digest::BootDigest;
pub use boot_files::{BOOT_FILES, shows_boot_files};
pub use boot_pair::{BootPair, SIDE_BY_SIDE};
pub use boot_target::{BootPartition, PartitionKind, boot_targets};
pub use composefs_arg::ComposefsArg;
pub use counting::Tries;
pub use efi_variables::{
    BOOT_ATTRIBUTES, BootEntryChange, BootOption, BootPartitionId, EfiVariables, Efivarfs, GLOBAL_VENDOR,
    LOADER_VENDOR, LoaderVariables, MemoryVariables, Variable, VariableName, register_boot_entry,
};
pub use entry_changes::{EntryChange, entry_changes};
pub use entry_name::{EntryName, Rank, menu_order};
pub use error::BootError;
pub use esp::{BootRole, Esp, FoundEntry, Visibility};
pub use gpt::{GptEntry, GptHeader, GptPartition, boot_entries, header_checksum};
pub use karg::Karg;
pub use kargs::{COMMAND_LINE_MAX, Kargs};
pub use kernel::Kernel;
pub use kernel_sizes::KernelSizes;
pub use loader::{FoundLoader, Loader, LoaderChanges, LoaderFile, LoaderKind, LoaderWish, image_file};
pub use os_release::OsRelease;
pub use root_conf::{MountKind, RootConf, RootKind};
pub use uki::{FoundAddon, FoundUki, Uki, find_ukis};
pub use version::compare_versions;
