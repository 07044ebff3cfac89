//! What systemd has to be told when it found the root by its partition's type: the device under the image.
//!
//! What lives here: one symlink. Source: bootc's initramfs does the same, for <https://github.com/systemd/systemd/issues/35017>:
//! `systemd-gpt-auto-generator` of the booted system asks for the device of `/`, which an overlay has not, and else takes
//! `/run/systemd/volatile-root`.

use std::{path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_store::{
    Optional,
    disk::{Dir, Disk, File, FileType},
};

use crate::SetupError;

const FOUND: &str = "gpt-auto-root";
const LINK: &str = "volatile-root";

/// Leaves systemd the number of the device behind `dev/gpt-auto-root`, if that is there. Says whether it did.
///
/// # Errors
/// When the link cannot be made.
pub fn keep_gpt_auto(disk: &Arc<dyn Disk>, dev: &Path, run_systemd: &Path) -> Result<bool, SetupError> {
    let Some(device) = File::open(disk, dev.join(FOUND)).optional()? else { return Ok(false) };
    let metadata = device.metadata()?;
    if metadata.kind != FileType::BlockDevice {
        return Ok(false);
    }
    let (major, minor) = metadata.rdev;
    let run = Dir::open(disk, run_systemd)?;
    match run.symlink(format!("/dev/block/{major}:{minor}"), LINK) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
