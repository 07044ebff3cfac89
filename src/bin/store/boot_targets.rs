//! The boot partitions of a system: what is mounted, and the others of the same disks.
//!
//! What lives here: reading the machine, and nothing else: what each partition is for the library says. Found are
//! partitions at `/efi`, `/boot/efi` and `/boot`, of the system that runs or of one that is installed to a folder; and, for root,
//! EFI system and XBOOTLDR partitions of the disks that the running system is on (all of a RAID 1), which are mounted where
//! nobody else sees them. Never those of other disks: they are another system's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealstone::boot::{BootPartition, Esp, GptEntry, PartitionKind, boot_entries, boot_targets};
use sealstone::store::DetachedMount;
use sealstone::store::disk::{Access, Dir, Disk, File, FsType, Resolve};

/// Where boot partitions are mounted, what is most surely an ESP first.
pub const PLACES: [&str; 3] = ["efi", "boot/efi", BOOT];

/// The place of an XBOOTLDR, or of what GRUB reads, beside an ESP.
const BOOT: &str = "boot";

/// How deep devices may lie on each other: a partition, a RAID, LUKS, a logical volume, and some.
const DEPTH_MAX: usize = 16;

/// A machine, by the folder that is its `/`: another one in tests.
pub struct Machine<'a> {
    pub disk: &'a Arc<dyn Disk>,
    pub root: &'a Path,
}

/// What was found, and what of it cannot be used.
#[derive(Debug, Default)]
pub struct Found {
    pub esps: Vec<Esp>,
    /// Partitions that should be there or could not be mounted, and why.
    pub failed: Vec<String>,
}

/// A disk's number, as in `/sys/dev/block`.
type Number = (u32, u32);

impl Machine<'_> {
    /// The boot partitions of the system whose physical root is `sysroot`.
    pub fn boot_targets(&self, sysroot: &Path) -> Found {
        let mut found = Found::default();
        let mut partitions = Vec::new();
        let mut seen = BTreeSet::new();
        self.add_mounted(self.root, &PLACES, &mut partitions, &mut seen);
        for disk in self.disks_of(sysroot) {
            for (name, _, entry) in self.gpt(&disk).into_iter().filter(|(_, number, _)| seen.insert(*number))
            {
                let (kind, disk) = (entry.kind, disk.clone());
                match self.mount(&name) {
                    Ok(esp) => partitions.push(BootPartition { kind, disk, esp }),
                    Err(error) => found.failed.push(format!("{name}: {error}")),
                }
            }
        }
        found.esps = boot_targets(partitions);
        found
    }

    /// The boot partitions of a system that is installed below `root`: the ESPs that are given, else those that are mounted there;
    /// and what is mounted on its `/boot`.
    ///
    /// # Errors
    /// When what is given is no folder.
    pub fn boot_targets_below(&self, root: &Path, given: &[PathBuf]) -> sealstone::store::Result<Vec<Esp>> {
        let (mut partitions, mut seen) = (Vec::new(), BTreeSet::new());
        for path in given {
            let dir = Dir::open(self.disk, path)?;
            let device = dir.own_metadata()?.device;
            seen.insert(device);
            let disk = self.disk_of(device).unwrap_or_default();
            partitions.push(BootPartition { kind: PartitionKind::Esp, disk, esp: Esp::new(dir) });
        }
        let places: &[&str] = if given.is_empty() { &PLACES } else { &[BOOT] };
        self.add_mounted(root, places, &mut partitions, &mut seen);
        Ok(boot_targets(partitions))
    }

    /// Adds what is mounted at places below a root.
    fn add_mounted(
        &self,
        root: &Path,
        places: &[&str],
        partitions: &mut Vec<BootPartition>,
        seen: &mut BTreeSet<Number>,
    ) {
        for place in places {
            if let Some((partition, device)) = self.mounted(root, place, partitions)
                && seen.insert(device)
            {
                partitions.push(partition);
            }
        }
    }

    /// What is mounted at one of the places; looking there mounts what is mounted on demand.
    fn mounted(&self, root: &Path, place: &str, before: &[BootPartition]) -> Option<(BootPartition, Number)> {
        let dir = Dir::open(self.disk, root.join(place)).ok()?;
        let own = dir.own_metadata().ok().filter(|own| own.mount_root)?;
        let is_fat = dir.fs_type().ok()? == FsType::Vfat;
        let disk = self.disk_of(own.device).unwrap_or_default();
        let has_esp = before.iter().any(|other| other.kind == PartitionKind::Esp);
        let kind = match (place, is_fat) {
            // systemd's: the ESP is at /efi, and /boot is the XBOOTLDR.
            (BOOT, true) if has_esp => {
                self.may_be_xbootldr(&disk, own.device).then_some(PartitionKind::Xbootldr)?
            }
            (_, true) => PartitionKind::Esp,
            (BOOT, false) => PartitionKind::Boot,
            (_, false) => return None,
        };
        Some((BootPartition { kind, disk, esp: Esp::new(dir) }, own.device))
    }

    /// Whether systemd-boot finds a partition: by its type in the disk's table, which tells as long as it can be read.
    fn may_be_xbootldr(&self, disk: &str, device: Number) -> bool {
        let table = self.gpt(disk);
        table.is_empty()
            || table.iter().any(|(_, of, entry)| *of == device && entry.kind == PartitionKind::Xbootldr)
    }

    /// Mounts a partition where nobody sees it.
    fn mount(&self, name: &str) -> Result<Esp, String> {
        let device = self.root.join("dev").join(name);
        let mounted = DetachedMount::new(&device, "vfat", &[("umask", "0077")]);
        let dir = mounted.and_then(|mount| mount.into_dir(self.disk)).map_err(|error| error.to_string())?;
        Ok(Esp::new(dir).with_name(device.display().to_string()))
    }

    /// The disks that a folder's file system is on, by their names.
    fn disks_of(&self, folder: &Path) -> Vec<String> {
        let mut disks = BTreeSet::new();
        for number in self.devices_of(folder) {
            let below = self.sys(&format!("dev/block/{}:{}", number.0, number.1));
            self.collect_disks(&below, 0, &mut disks);
        }
        disks.into_iter().collect()
    }

    /// The devices of a folder's file system: one, or those of a btrfs, which tells a number of its own.
    fn devices_of(&self, folder: &Path) -> Vec<Number> {
        let Ok(dir) = Dir::open(self.disk, folder) else { return Vec::new() };
        let Ok(own) = dir.own_metadata() else { return Vec::new() };
        if dir.fs_type().ok() != Some(FsType::Btrfs) {
            return vec![own.device];
        }
        let mine = |file_system: &PathBuf| {
            let bdi = self.read(&file_system.join("bdi/dev"));
            bdi.is_none_or(|text| text == format!("{}:{}", own.device.0, own.device.1))
        };
        let all = self.children(&self.sys("fs/btrfs")).into_iter().filter(mine);
        let devices = all.flat_map(|file_system| self.children(&file_system.join("devices")));
        devices.filter_map(|device| self.number(&device)).collect()
    }

    /// The disk of a device, through all that it lies on.
    fn collect_disks(&self, device: &Path, depth: usize, disks: &mut BTreeSet<String>) {
        let slaves = self.children(&device.join("slaves"));
        if depth < DEPTH_MAX && !slaves.is_empty() {
            return slaves.iter().for_each(|slave| self.collect_disks(slave, depth + 1, disks));
        }
        if let Some(number) = self.number(device) {
            disks.extend(self.disk_of(number));
        }
    }

    /// The name of the disk of a partition, or of a disk.
    fn disk_of(&self, number: Number) -> Option<String> {
        let link = self.sys(&format!("dev/block/{}:{}", number.0, number.1));
        let target = Dir::open(self.disk, link.parent()?).ok()?.read_link(link.file_name()?).ok()?;
        let is_partition = self.read(&link.join("partition")).is_some();
        let device = if is_partition { target.parent()? } else { &target };
        Some(device.file_name()?.to_str()?.to_owned())
    }

    /// The boot partitions in a disk's table: their names in `/dev`, their numbers, and what the table says.
    fn gpt(&self, disk: &str) -> Vec<(String, Number, GptEntry)> {
        let block = self.sys(&format!("class/block/{disk}"));
        let size = self.read(&block.join("queue/logical_block_size")).and_then(|text| text.parse().ok());
        let Ok(dev) = Dir::open(self.disk, self.root.join("dev")) else { return Vec::new() };
        let file: Option<File> = dev.open_file_with(disk, Access::Read, Resolve::NoSymlinks).ok();
        let entries = file.and_then(|file| boot_entries(&file, size.unwrap_or(512)).ok()).unwrap_or_default();
        let named = |entry: GptEntry| {
            let partition = self.children(&block).into_iter().find(|child| {
                self.read(&child.join("partition")).is_some_and(|text| text == entry.number.to_string())
            })?;
            Some((partition.file_name()?.to_str()?.to_owned(), self.number(&partition)?, entry))
        };
        entries.into_iter().filter_map(named).collect()
    }

    /// What the firmware knows a boot partition by: its device's number is that of the folder's file system.
    pub fn gpt_entry(&self, number: Number) -> Option<GptEntry> {
        let disk = self.disk_of(number)?;
        self.gpt(&disk).into_iter().find(|(_, other, _)| *other == number).map(|(_, _, entry)| entry)
    }

    fn sys(&self, path: &str) -> PathBuf {
        self.root.join("sys").join(path)
    }

    fn number(&self, device: &Path) -> Option<Number> {
        let text = self.read(&device.join("dev"))?;
        let (major, minor) = text.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// A small file of sysfs, without the line's end.
    fn read(&self, path: &Path) -> Option<String> {
        let bytes = File::open(self.disk, path).ok()?.read_all(4096).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    fn children(&self, folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = Dir::open(self.disk, folder).and_then(|dir| dir.read_dir()) else {
            return Vec::new();
        };
        let mut children: Vec<PathBuf> = entries.into_iter().map(|entry| folder.join(entry.name)).collect();
        children.sort_unstable();
        children
    }
}

#[cfg(test)]
mod tests;
