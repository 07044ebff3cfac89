//! What a boot partition is for.
//!
//! What lives here: the roles, and what each gets. What does not: finding partitions and their roles (`boot_target.rs`).
//! Source: UAPI.1 "The Partitions": `$BOOT` is the extended boot loader partition where there is one, else the EFI system
//! partition; the firmware reads the latter alone.

/// What a boot partition is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootRole {
    /// An EFI system partition that has everything: boot loader, kernels and entries.
    #[default]
    Esp,
    /// An EFI system partition that has the boot loader alone: kernels and entries are on another partition.
    Loader,
    /// An extended boot loader partition (XBOOTLDR): kernels and entries.
    Xbootldr,
    /// A separate `/boot` of any file system, as GRUB reads it: kernels and entries.
    Boot,
}

impl BootRole {
    /// Whether kernels and entries go there.
    #[must_use]
    pub const fn has_entries(self) -> bool {
        !matches!(self, Self::Loader)
    }

    /// Whether the firmware looks there for a boot loader.
    #[must_use]
    pub const fn has_loader(self) -> bool {
        matches!(self, Self::Esp | Self::Loader)
    }

    /// A word for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp => "ESP",
            Self::Loader => "ESP, boot loader only",
            Self::Xbootldr => "XBOOTLDR",
            Self::Boot => "/boot",
        }
    }
}
