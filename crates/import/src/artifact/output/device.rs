//! [`DeviceOutput`]: a block device, written through, zeros included.
//!
//! A device has no name that could wait. What waits is its first mebibyte, where partition table and boot code are: it is
//! zeros from the start, and gets its bytes when all others are on the device and right. A device whose writing was cut off
//! or went wrong holds no system that could be started.

use sealstone_store::disk::File;

use super::ArtifactOutput;
use crate::error::Result;

/// How much waits, in bytes.
const HEAD: usize = 1 << 20;

/// A block device that nobody else uses.
#[derive(Debug)]
pub struct DeviceOutput {
    device: File,
    /// The bytes that wait.
    head: Vec<u8>,
    at: u64,
    is_begun: bool,
}

impl DeviceOutput {
    pub(super) const fn new(device: File) -> Self {
        Self { device, head: Vec::new(), at: 0, is_begun: false }
    }

    /// Takes away what made the device start before.
    fn begin(&mut self) -> Result<()> {
        if !self.is_begun {
            self.is_begun = true;
            self.device.write_all_at(0, &vec![0; HEAD])?;
            // D1: gone before anything else changes.
            self.device.sync()?;
        }
        Ok(())
    }
}

impl ArtifactOutput for DeviceOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.begin()?;
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let (waits, goes) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(waits);
        self.at += waits.len() as u64;
        self.device.write_all_at(self.at, goes)?;
        self.at += goes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.begin()?;
        // D1: content before what names it.
        self.device.sync()?;
        self.device.write_all_at(0, &self.head)?;
        Ok(self.device.sync()?)
    }
}
