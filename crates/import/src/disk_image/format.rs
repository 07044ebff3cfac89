//! [`DiskFormat`]: what the bytes of a disk image are.

use std::fmt;

/// A format of disk images that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// qcow2, as QEMU has it.
    Qcow2,
}

impl DiskFormat {
    /// The first bytes of a qcow2 image.
    pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

    /// `raw` or `qcow2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// What the first bytes say. All that is not qcow2 is raw: a disk may begin with anything. The answer opens no other
    /// file, whatever it is, so a guest gains nothing by writing a header onto its disk.
    #[must_use]
    pub fn detect(start: &[u8]) -> Self {
        if start.starts_with(&Self::MAGIC) { Self::Qcow2 } else { Self::Raw }
    }
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
