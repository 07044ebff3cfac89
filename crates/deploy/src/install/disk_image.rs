//! Whole-disk images: an artifact of a raw or qcow2 image, packed or not, from where it lies straight onto a disk.
//!
//! What lives here: the disk that is written ([`DiskTarget`]), and in which order. What does not: partition tables, how
//! images are read ([`sealstone_import::disk_image`]) and fetched ([`sealstone_import::artifact`]).
//!
//! Invariants: nothing is staged but the bounded spool of a qcow2 image; the first mebibyte, with the partition table and what
//! a firmware would start, is written when all the rest is on the disk and its digest has matched, and not before. Until then
//! the disk has neither table, at its begin or at its end: nothing on it can be started.

mod output;
mod target;
mod writer;

use std::sync::Arc;

use sealstone_import::{
    artifact::{Artifact, FetchOptions, Fetched, fetch_artifact},
    disk_image::{DecodeDisk, DiskFormat},
    source::Source,
};
use sealstone_store::Control;

use super::{ConfigDrive, PartitionTable};
use crate::DeployError;
use output::DiskOutput;
pub use target::DiskTarget;

/// How a disk is written. Start from [`DiskImageOptions::default`] and change what you must.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiskImageOptions {
    /// How the image is read: bounds, and the folder for a spool. Its format is that of the artifact's disk type, if it has
    /// one.
    pub decode: DecodeDisk,
    /// The bounds of what comes.
    pub fetch: FetchOptions,
    /// A config drive to be put behind the image's partitions; a file becomes longer by it.
    pub config_drive: Option<Arc<ConfigDrive>>,
}

/// A disk that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenDisk {
    /// Bytes of the artifact's blob and of the image that came out of it.
    pub fetched: Fetched,
    /// What the image was.
    pub format: DiskFormat,
    /// Bytes of the image's disk.
    pub disk_bytes: u64,
    /// Bytes of the disk that was written: a device may be larger.
    pub target_bytes: u64,
    /// Bytes that were written; the others are zeros.
    pub written_bytes: u64,
    /// The partition table that is on it now.
    pub table: PartitionTable,
}

/// Writes the disk image that an artifact is.
///
/// # Errors
/// Those of the fetch and of the image as [`DeployError::Import`]; [`DeployError::Unfit`] when the image has no partition
/// table, or one for sectors of another size; those of the target. Nothing on the target can be started then.
pub fn write_disk_image(
    source: &dyn Source,
    artifact: &Artifact,
    target: &DiskTarget,
    options: &DiskImageOptions,
    control: &Control,
) -> Result<WrittenDisk, DeployError> {
    let mut decode = options.decode.clone();
    decode.format = artifact.disk_type.map(|kind| match kind.format() {
        "qcow2" => DiskFormat::Qcow2,
        _ => DiskFormat::Raw,
    });
    let mut fetch = options.fetch.clone();
    // Packed or not, it is the image that goes to the disk.
    fetch.keep_packed = false;
    let writer = target.open(artifact.body.digest(), control)?;
    let name = format!("image {}", artifact.body.digest());
    let mut output =
        DiskOutput::new(writer, &name, decode, target.sector_bytes(), options.config_drive.clone());
    let fetched = match fetch_artifact(source, artifact, &mut output, &fetch, control) {
        Ok(fetched) => fetched,
        Err(error) => return Err(output.take_refusal().unwrap_or_else(|| error.into())),
    };
    output.written(fetched)
}
