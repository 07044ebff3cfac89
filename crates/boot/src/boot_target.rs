//! The boot targets of a machine: which of its partitions gets what.
//!
//! What lives here: the roles of partitions, from what they are. What does not: finding and mounting them (the command).
//! Source: UAPI.1 "The Partitions": `$BOOT` is the XBOOTLDR partition of the disk where it has one, else its ESP;
//! systemd-boot looks for the former on the disk that it was started from. GRUB reads `/boot`, wherever that is.

use crate::{BootRole, Esp};

/// What a partition is, by its type or by where it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// An EFI system partition.
    Esp,
    /// An extended boot loader partition.
    Xbootldr,
    /// A separate `/boot` of another type.
    Boot,
}

/// A partition that takes part in booting.
#[derive(Clone, Debug)]
pub struct BootPartition {
    /// What it is.
    pub kind: PartitionKind,
    /// The disk that it is on, by any name that is the same for all of its partitions.
    pub disk: String,
    /// Where it can be written.
    pub esp: Esp,
}

/// What a `/boot` has when a boot loader looks for its menu there.
const READ_BY_BOOT_LOADERS: [&str; 3] = ["grub2", "grub", "loader/entries"];

/// The boot targets: every partition with its role, those with kernels and entries first. Beside an ESP, a separate `/boot` that no
/// boot loader reads is a part of the system like any other, and left out.
#[must_use]
pub fn boot_targets(mut partitions: Vec<BootPartition>) -> Vec<Esp> {
    let has_esp = partitions.iter().any(|partition| partition.kind == PartitionKind::Esp);
    let is_read =
        |esp: &Esp| READ_BY_BOOT_LOADERS.iter().any(|folder| esp.directory().open_dir(folder).is_ok());
    partitions
        .retain(|partition| partition.kind != PartitionKind::Boot || !has_esp || is_read(&partition.esp));
    let has = |kind: PartitionKind, disk: Option<&str>| {
        partitions.iter().any(|other| other.kind == kind && disk.is_none_or(|disk| other.disk == disk))
    };
    let role = |partition: &BootPartition| match partition.kind {
        PartitionKind::Xbootldr => BootRole::Xbootldr,
        PartitionKind::Boot => BootRole::Boot,
        PartitionKind::Esp => {
            let entries_elsewhere =
                has(PartitionKind::Boot, None) || has(PartitionKind::Xbootldr, Some(&partition.disk));
            if entries_elsewhere { BootRole::Loader } else { BootRole::Esp }
        }
    };
    let roles: Vec<BootRole> = partitions.iter().map(role).collect();
    let mut targets: Vec<Esp> =
        partitions.into_iter().zip(roles).map(|(partition, role)| partition.esp.with_role(role)).collect();
    targets.sort_by_key(|esp| !esp.role().has_entries());
    targets
}

#[cfg(test)]
mod tests {
    use sealstone_store::disk::{Dir, RealDisk};

    use super::*;

    fn roles(list: &[(PartitionKind, &str)]) -> Vec<(String, BootRole)> {
        roles_with(list, None)
    }

    /// All of them have this folder.
    fn roles_with(list: &[(PartitionKind, &str)], there: Option<&str>) -> Vec<(String, BootRole)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(there.unwrap_or_default())).unwrap();
        let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        let partition = |(number, (kind, disk)): (usize, &(PartitionKind, &str))| BootPartition {
            kind: *kind,
            disk: (*disk).to_owned(),
            esp: Esp::new(dir.clone()).with_name(format!("{disk}{number}")),
        };
        let targets = boot_targets(list.iter().enumerate().map(partition).collect());
        targets.iter().map(|esp| (esp.name(), esp.role())).collect()
    }

    #[test]
    fn the_partition_that_has_the_entries_is_that_of_the_specification() {
        use PartitionKind::{Boot, Esp, Xbootldr};
        let of = |name: &str, role| (name.to_owned(), role);
        assert_eq!(roles(&[(Esp, "a")]), [of("a0", BootRole::Esp)]);
        // A RAID 1: both are whole.
        assert_eq!(roles(&[(Esp, "a"), (Esp, "b")]), [of("a0", BootRole::Esp), of("b1", BootRole::Esp)]);
        assert_eq!(
            roles(&[(Esp, "a"), (Xbootldr, "a")]),
            [of("a1", BootRole::Xbootldr), of("a0", BootRole::Loader)]
        );
        // systemd-boot does not look at another disk's XBOOTLDR.
        assert_eq!(
            roles(&[(Esp, "a"), (Xbootldr, "a"), (Esp, "b")]),
            [of("a1", BootRole::Xbootldr), of("b2", BootRole::Esp), of("a0", BootRole::Loader)]
        );
        // GRUB does look at the one /boot.
        let with_boot = [(Esp, "a"), (Esp, "b"), (Boot, "md0")];
        for folder in READ_BY_BOOT_LOADERS {
            assert_eq!(
                roles_with(&with_boot, Some(folder)),
                [of("md02", BootRole::Boot), of("a0", BootRole::Loader), of("b1", BootRole::Loader)]
            );
        }
        // Nobody looks at this one; but where there is no ESP, it is all that there is.
        let esps = [of("a0", BootRole::Esp), of("b1", BootRole::Esp)];
        assert_eq!(roles_with(&with_boot, None), esps);
        assert_eq!(roles_with(&with_boot, Some("loader")), esps);
        assert_eq!(roles(&[(Boot, "md0")]), [of("md00", BootRole::Boot)]);
    }
}
