//! The boot loader of a system, as far as files tell.
//!
//! What lives here: the guess. What does not: the firmware's word on it, which only a running system has.

use sealstone_store::Optional;

use crate::{DeployError, Target};

/// A boot loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootLoader {
    /// GRUB: the sysroot's `/boot` has its folder.
    Grub,
    /// systemd-boot, or another that reads entries on the boot partitions.
    #[default]
    Systemd,
}

impl BootLoader {
    pub(crate) fn of(target: &Target) -> Result<Self, DeployError> {
        for folder in ["boot/grub2", "boot/grub"] {
            if target.sysroot.dir().metadata(folder).optional()?.is_some() {
                return Ok(Self::Grub);
            }
        }
        Ok(Self::Systemd)
    }

    /// Its name, which is also bootc's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grub => "grub",
            Self::Systemd => "systemd",
        }
    }
}
