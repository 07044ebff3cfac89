//! What is where on a disk that is made: the ESP, the root, and what stays free at the end.
//!
//! What lives here: the sizes and places. What does not: the bytes of the table (`gpt.rs`), the file systems.
//! Source of the types: the Discoverable Partitions Specification of systemd.

use sealstone_boot::{BootError, KernelSizes};

use super::{
    gpt::{Gpt, Partition},
    ids::{Seed, Uuid},
};
use crate::{DeployError, kargs::Architecture};

/// Partitions begin at multiples of this, in bytes.
pub const ALIGNMENT: u64 = 1 << 20;

/// The least size of an ESP: with less, FAT32 has clusters that a boot entry does not fit.
pub const ESP_LEAST: u64 = 260 << 20;

/// The least that is chosen when nobody says anything.
const ESP_FLOOR: u64 = 512 << 20;

/// An ESP.
const ESP: Uuid = Uuid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);

/// Roots by architecture, with Rust's names; then for any other.
const ROOTS: [(&str, Uuid); 5] = [
    ("x86_64", Uuid::from_u128(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709)),
    ("aarch64", Uuid::from_u128(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae)),
    ("riscv64", Uuid::from_u128(0x72ec_70a6_cf74_40e6_bd49_4bda_08e8_f224)),
    ("powerpc64", Uuid::from_u128(0xc31c_45e6_3f39_412e_80fb_4809_c498_0599)),
    ("s390x", Uuid::from_u128(0x5eea_d9a9_fe09_4a1e_a1d7_520d_0053_1306)),
];

/// Linux's generic type, which config drives have as well.
pub(super) const LINUX: Uuid = Uuid::from_u128(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

/// `growfs` (bit 59): the file system is made as large as its partition when it is mounted.
const GROWS: u64 = 1 << 59;

/// A part of a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub size: u64,
}

impl Span {
    /// The byte after its last.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutRequest {
    /// The disk's size in bytes.
    pub size: u64,
    /// The size of its sectors: 512 or 4,096.
    pub sector: u32,
    /// The ESP's size in bytes.
    pub esp: u64,
    /// So many bytes at the end belong to no partition, for others to use.
    pub tail: u64,
}

/// Where the partitions of a disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DiskLayout {
    /// The disk's size in bytes.
    pub size: u64,
    /// The size of its sectors.
    pub sector: u32,
    /// The ESP.
    pub esp: Span,
    /// The root.
    pub root: Span,
}

impl DiskLayout {
    /// Lays out a disk; the root has what the ESP and the tail leave.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when a size is none that can be, [`BootError::NoSpace`] when the root would have less than
    /// `root_least` bytes.
    pub fn of(request: LayoutRequest, root_least: u64) -> Result<Self, DeployError> {
        let LayoutRequest { size, sector, esp, tail } = request;
        let invalid = |what, value: u64, reason: &str| {
            Err(DeployError::Invalid { what, text: value.to_string(), reason: reason.to_owned() })
        };
        if sector != 512 && sector != 4096 {
            return invalid("sector size", sector.into(), "sectors have 512 or 4096 bytes");
        }
        if esp < ESP_LEAST {
            return invalid("size of an ESP", esp, "FAT32 with clusters of 4 KiB needs 260 MiB");
        }
        let size = size - size % u64::from(sector);
        let table = Gpt { id: LINUX, sector, sectors: size / u64::from(sector), partitions: Vec::new() };
        let usable = (table.last_usable() + 1) * u64::from(sector);
        let esp = Span { start: ALIGNMENT, size: esp.next_multiple_of(ALIGNMENT) };
        let end = usable.saturating_sub(tail) / ALIGNMENT * ALIGNMENT;
        let root = Span { start: esp.end(), size: end.saturating_sub(esp.end()) };
        if root.size < root_least.max(ALIGNMENT) {
            let place = "the root of this disk".to_owned();
            return Err(BootError::NoSpace { place, needed: root_least, free: root.size }.into());
        }
        Ok(Self { size, sector, esp, root })
    }

    /// The size of a disk whose root has so many bytes.
    #[must_use]
    pub const fn size_for(root: u64, esp: u64, tail: u64) -> u64 {
        // One unit before the first partition, one for the copy of the table.
        ALIGNMENT + esp.next_multiple_of(ALIGNMENT) + root.next_multiple_of(ALIGNMENT) + tail + ALIGNMENT
    }

    /// The table that says so.
    #[must_use]
    pub fn table(&self, seed: &Seed, architecture: Option<&Architecture>) -> Gpt {
        let sector = u64::from(self.sector);
        let root_type = architecture.and_then(|architecture| {
            ROOTS.iter().find(|(name, _)| architecture.as_str() == *name).map(|(_, uuid)| *uuid)
        });
        let partition = |name: &str, kind, span: Span, attributes| Partition {
            kind,
            id: seed.uuid(&format!("partition {name}")),
            first: span.start / sector,
            last: span.end() / sector - 1,
            attributes,
            name: name.to_owned(),
        };
        let partitions = vec![
            partition("esp", ESP, self.esp, 0),
            partition("root", root_type.unwrap_or(LINUX), self.root, GROWS),
        ];
        Gpt { id: seed.uuid("disk"), sector: self.sector, sectors: self.size / sector, partitions }
    }
}

/// How large an ESP is made for a kernel of these sizes: it, and two updates beside it, and as much again for boot loaders.
#[must_use]
pub fn esp_size_for(kernel: &KernelSizes) -> u64 {
    let one = kernel.vmlinuz + kernel.initramfs;
    (one.saturating_mul(3) + (64 << 20)).max(ESP_FLOOR).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_root_has_what_the_esp_and_the_tail_leave() {
        for sector in [512, 4096] {
            let request = LayoutRequest { size: 4096 * MIB + 700, sector, esp: 512 * MIB, tail: 64 * MIB };
            let layout = DiskLayout::of(request, 0).unwrap();
            assert_eq!(layout.esp, Span { start: MIB, size: 512 * MIB });
            assert_eq!(layout.root.start, 513 * MIB);
            let table = layout.table(&Seed::new(b""), None);
            assert!(layout.root.end() + 64 * MIB <= (table.last_usable() + 1) * u64::from(sector));
            assert!(layout.root.end() + 66 * MIB > layout.size);
        }
    }

    #[test]
    fn what_is_too_small_is_refused() {
        let request = LayoutRequest { size: 600 * MIB, sector: 512, esp: 512 * MIB, tail: 0 };
        let small = DiskLayout::of(request, 100 * MIB);
        assert!(matches!(small, Err(DeployError::Boot(BootError::NoSpace { .. }))));
        assert!(DiskLayout::of(LayoutRequest { esp: 100 * MIB, ..request }, 0).is_err());
        assert!(DiskLayout::of(LayoutRequest { sector: 520, ..request }, 0).is_err());
        let size = DiskLayout::size_for(100 * MIB, 512 * MIB, 0);
        assert!(DiskLayout::of(LayoutRequest { size, ..request }, 100 * MIB).is_ok());
    }
}
