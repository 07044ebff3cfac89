//! Installing: a target is made, and what it boots comes onto it.
//!
//! What lives here: whole-disk images. What does not: planning, applying, importing; they are those of every other verb.
//! Invariants: nothing is destroyed that was not named before; what lets a machine boot is written last.

mod config_drive;
mod disk_image;
mod iso9660;

pub use config_drive::{CONFIG_DRIVE, CONFIG_DRIVE_BYTES, ConfigDrive};
pub use disk_image::{
    DiskImageOptions, DiskTarget, PartitionTable, TablePartition, WrittenDisk, write_disk_image,
};
