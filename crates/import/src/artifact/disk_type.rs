//! [`DiskType`]: the annotation `disktype` of an index's manifests, and Ironic's order among them (`oci_registry.py`).

use std::{fmt, str::FromStr};

/// The annotation's key.
pub(super) const DISK_TYPE: &str = "disktype";

/// What a disk image is, as podman-machine's and Ironic's images call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskType {
    /// `raw`: the bytes of a disk.
    Raw,
    /// `applehv`: the same, for Apple's hypervisor.
    AppleHv,
    /// `qcow2`.
    Qcow2,
    /// `qemu`: qcow2 under another name.
    Qemu,
}

impl DiskType {
    /// The annotation's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::AppleHv => "applehv",
            Self::Qcow2 => "qcow2",
            Self::Qemu => "qemu",
        }
    }

    /// The format of the bytes: `raw` or `qcow2`.
    #[must_use]
    pub const fn format(self) -> &'static str {
        match self {
            Self::Raw | Self::AppleHv => "raw",
            Self::Qcow2 | Self::Qemu => "qcow2",
        }
    }
}

impl fmt::Display for DiskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DiskType {
    /// The reason.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Raw, Self::AppleHv, Self::Qcow2, Self::Qemu]
            .into_iter()
            .find(|known| known.name() == text)
            .ok_or_else(|| format!("{text:?} is no disk type: raw, applehv, qcow2 or qemu"))
    }
}

/// Which of several disk types is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ranking {
    /// raw, applehv, qcow2, qemu: for a disk to be written. What Ironic does unless it keeps images on its conductor.
    #[default]
    RawFirst,
    /// qcow2, qemu, raw, applehv: for a file to be kept. Ironic's `image_download_source = local`.
    Qcow2First,
}

impl Ranking {
    /// The place of an image among others; what has no disk type comes last.
    pub(super) fn rank(self, disk_type: Option<DiskType>) -> usize {
        const UNKNOWN: usize = 100;
        use DiskType::{AppleHv, Qcow2, Qemu, Raw};
        let order = match self {
            Self::RawFirst => [Raw, AppleHv, Qcow2, Qemu],
            Self::Qcow2First => [Qcow2, Qemu, Raw, AppleHv],
        };
        order.iter().position(|known| Some(*known) == disk_type).unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_types_are_ranked_as_ironic_does() {
        let ranked = |ranking: Ranking| {
            let mut all = [
                None,
                Some(DiskType::AppleHv),
                Some(DiskType::Qemu),
                Some(DiskType::Raw),
                Some(DiskType::Qcow2),
            ];
            all.sort_by_key(|one| ranking.rank(*one));
            all.map(|one| one.map_or("-", DiskType::name))
        };
        assert_eq!(ranked(Ranking::RawFirst), ["raw", "applehv", "qcow2", "qemu", "-"]);
        assert_eq!(ranked(Ranking::Qcow2First), ["qcow2", "qemu", "raw", "applehv", "-"]);
        assert_eq!("applehv".parse::<DiskType>().unwrap().format(), "raw");
        assert!("wsl".parse::<DiskType>().is_err());
    }
}
