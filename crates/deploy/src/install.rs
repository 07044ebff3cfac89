//! Installing: a target is made, the image is imported straight into it, then planned and applied as any update is.
//!
//! What lives here: making the target (a sysroot, a disk in a file, a device) and what only a first deployment has: the
//! arguments that find the root; and whole-disk images. What does not: planning, applying, importing; they are those of every
//! other verb.
//! Invariants: nothing is destroyed that was not named before; what lets a machine boot is written last.

mod config_drive;
mod device;
mod disk_image;
mod ext4;
mod fat;
mod gpt;
mod ids;
mod iso9660;
mod layout;
mod luks;
mod mount_spec;
mod prepare;
mod programs;
mod qcow2;
mod signatures;
mod to_device;
mod to_file;
mod to_filesystem;

pub use config_drive::{CONFIG_DRIVE, CONFIG_DRIVE_BYTES, ConfigDrive};
pub use device::{is_device, look_at_device};
pub use disk_image::{DiskImageOptions, DiskTarget, WrittenDisk, write_disk_image};
pub use gpt::{Gpt, Partition, PartitionTable, TablePartition};
pub use ids::{Seed, Uuid};
pub use layout::{DiskLayout, LayoutRequest, Span, esp_size_for};
pub use luks::{LuksKey, LuksOptions, LuksRequest, LuksUnlock, LuksVolume, MadeLuks, TpmBinding};
pub use mount_spec::MountSpecs;
pub use prepare::{SysrootOptions, prepare_sysroot};
pub use programs::{HostPrograms, Programs};
pub use signatures::{signatures, signatures_of_file};
pub use to_device::DeviceDisk;
pub use to_file::{DiskFormat, DiskRequest, FileDisk, MadeDisk};
pub use to_filesystem::{InstallRequest, Installed, to_filesystem};
