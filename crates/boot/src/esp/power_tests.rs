//! Power cuts on FAT at every point of an update, in the store's model of Linux' vfat: names without content, torn data,
//! and syncs of the whole file system that reach no disk.

use std::{path::Path, sync::Arc};

use sealstone_store::disk::{Dir, Disk, Fate, PowerCutDisk, RealDisk};

use super::*;
use crate::{EntryChange, entry_changes};

/// Kernel and initramfs of a system, of several blocks each.
fn pair(system: u8) -> BootPair {
    BootPair::read(Blob::Bytes(vec![system; 9000]), Blob::Bytes(vec![system + 100; 5000])).unwrap()
}

fn digest(system: u8) -> BootDigest {
    pair(system).sizes().digest
}

/// The entry of a system of this rank.
fn entry(system: u8, rank: u8) -> (EntryName, BlsEntry) {
    let (linux, initrd) = Esp::kernel_paths(&digest(system));
    let mut entry = BlsEntry::new();
    entry.set("title", &format!("System {system}")).unwrap();
    entry.set("sort-key", &format!("bootc-os-{rank}")).unwrap();
    entry.set(crate::SEALSTONE_ID_KEY, &format!("id{system}")).unwrap();
    entry.set("initrd", &initrd).unwrap().set("options", "quiet").unwrap();
    entry.set("linux", &linux).unwrap();
    (EntryName::parse(&format!("bootc_os-1-{}.conf", 1 - rank)).unwrap(), entry)
}

fn ours(esp: &Esp) -> std::collections::BTreeMap<EntryName, BlsEntry> {
    let found = esp.entries().unwrap().into_iter();
    found
        .filter_map(|found| match found {
            FoundEntry::Entry(name, entry) if entry.sealstone_id().is_some() => Some((name, entry)),
            _ => None,
        })
        .collect()
}

/// Makes the new system the first of the menu, the old one the second, and lets the kernel of the one before go.
fn update(esp: &Esp, old: u8, new: u8) {
    esp.write_kernel(&pair(new)).unwrap();
    let wanted = [entry(new, 0), entry(old, 1)].into();
    for change in entry_changes(&ours(esp), &wanted).unwrap() {
        match change {
            EntryChange::Write(name, entry) => esp.write_entry(&name, &entry).unwrap(),
            EntryChange::Remove(name) => esp.remove_entry(&name).unwrap(),
        }
    }
    for kernel in esp.kernels().unwrap() {
        if kernel != digest(old) && kernel != digest(new) {
            esp.remove_kernel(&kernel).unwrap();
        }
    }
}

/// The systems that a boot loader can start: an entry whose kernel exists, as systemd-boot checks. What it starts must be
/// whole.
fn bootable(root: &Path) -> Vec<u8> {
    let esp = Esp::new(Dir::open(&RealDisk::shared(), root).unwrap());
    let mut systems = Vec::new();
    for found in esp.entries().unwrap() {
        let FoundEntry::Entry(_, entry) = found else { continue };
        let Some(linux) = entry.linux() else { continue };
        let Ok(vmlinuz) = std::fs::read(root.join(linux.trim_start_matches('/'))) else { continue };
        let system = vmlinuz[0];
        let initrd = std::fs::read(root.join(entry.get("initrd").unwrap().trim_start_matches('/'))).unwrap();
        assert_eq!((vmlinuz, initrd), (vec![system; 9000], vec![system + 100; 5000]), "{entry} is torn");
        assert_eq!(entry.get("options"), Some("quiet"));
        systems.push(system);
    }
    systems.sort_unstable();
    systems.dedup();
    systems
}

#[test]
fn after_a_power_cut_on_fat_at_any_point_the_old_system_boots_and_the_update_can_be_repeated() {
    // In memory where there is such a place: thousands of syncs cost nothing there.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let root = folder.path().join("esp");
    std::fs::create_dir(&root).unwrap();
    let esp = Esp::new(Dir::open(&RealDisk::shared(), &root).unwrap());
    update(&esp, 0, 1);
    update(&esp, 1, 2);
    // The same version each time: names clash, and change their owners.
    let power = PowerCutDisk::on_fat(RealDisk::shared(), &root);
    let disk: Arc<dyn Disk> = power.clone();
    update(&Esp::new(Dir::open(&disk, &root).unwrap()), 2, 3);

    let mut states = 0;
    for point in 0..=power.len() {
        let seeds = (0..4).map(|seed| Fate::Seeded(seed * 1000 + point as u64));
        for fate in [Fate::AllLand, Fate::NoneLands].into_iter().chain(seeds) {
            let after = folder.path().join(format!("{states}"));
            power.materialise(point, fate, &after);
            let systems = bootable(&after);
            assert!(systems.contains(&2), "the old system is gone at point {point}, {fate:?}: {systems:?}");
            if point == power.len() {
                assert_eq!(systems, [2, 3], "what was acknowledged is lost, {fate:?}");
            }
            update(&Esp::new(Dir::open(&RealDisk::shared(), &after).unwrap()), 2, 3);
            assert_eq!(bootable(&after), [2, 3], "a repetition after point {point}, {fate:?}");
            std::fs::remove_dir_all(&after).unwrap();
            states += 1;
        }
    }
    assert!(states > 150, "{states}");
}
