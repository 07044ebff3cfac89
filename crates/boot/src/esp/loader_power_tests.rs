//! Power cuts at every point of a boot loader's update on FAT: one that is whole is by each name at any moment.

use std::path::Path;

use sealstone_store::disk::{Dir, Fate, PowerCutDisk, RealDisk};

use super::*;

const OWN: &str = "EFI/systemd/systemd-bootx64.efi";
const FALLBACK: &str = "EFI/BOOT/BOOTX64.EFI";

fn loader(version: u8) -> Blob {
    // Several clusters, and not whole ones.
    Blob::Bytes(
        [format!("#### LoaderInfo: systemd-boot {version} ####").into_bytes(), vec![version; 9000]].concat(),
    )
}

fn esp(root: &Path) -> Esp {
    Esp::new(Dir::open(&RealDisk::shared(), root).unwrap())
}

fn install(esp: &Esp, version: u8) {
    for path in [OWN, FALLBACK] {
        esp.put_loader_file(path, &loader(version)).unwrap();
    }
    esp.put_text("loader/loader.conf", "timeout 5\n").unwrap();
}

/// The version of a file that is whole; `None` when it is not there.
fn version(root: &Path, path: &str) -> Option<u8> {
    let bytes = std::fs::read(root.join(path)).ok()?;
    let version = *bytes.last()?;
    let Blob::Bytes(whole) = loader(version) else { return None };
    assert_eq!(bytes, whole, "{path} is torn");
    Some(version)
}

fn for_each_cut(power: &PowerCutDisk, into: &Path, mut check: impl FnMut(usize, &Path)) -> usize {
    let mut states = 0;
    for point in 0..=power.len() {
        let seeds = (0..8).map(|seed| Fate::Seeded(seed * 1000 + point as u64));
        for fate in [Fate::AllLand, Fate::NoneLands].into_iter().chain(seeds) {
            let after = into.join(format!("{states}"));
            power.materialise(point, fate, &after);
            check(point, &after);
            std::fs::remove_dir_all(&after).unwrap();
            states += 1;
        }
    }
    states
}

#[test]
fn after_a_power_cut_at_any_point_of_an_update_a_whole_boot_loader_is_by_both_names() {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let root = folder.path().join("esp");
    std::fs::create_dir(&root).unwrap();
    install(&esp(&root), 1);
    let power = PowerCutDisk::on_fat(RealDisk::shared(), &root);
    let disk: std::sync::Arc<dyn sealstone_store::disk::Disk> = power.clone();
    install(&Esp::new(Dir::open(&disk, &root).unwrap()), 2);
    let end = power.len();
    let states = for_each_cut(&power, folder.path(), |point, after| {
        for path in [OWN, FALLBACK] {
            let version = version(after, path);
            assert!(matches!(version, Some(1 | 2)), "{path} at point {point}: {version:?}");
            assert!(point < end || version == Some(2), "what was acknowledged is lost");
        }
        install(&esp(after), 2);
        assert_eq!([OWN, FALLBACK].map(|path| version(after, path)), [Some(2); 2], "a rerun after {point}");
        // A leftover that shares the new one's clusters must never be removed: an update after it leaves it alone.
        let shared: Vec<String> =
            leftovers(after).into_iter().filter(|path| version(after, path) == Some(2)).collect();
        install(&esp(after), 3);
        assert!(shared.iter().all(|path| after.join(path).exists()), "{shared:?} at point {point}");
        assert_eq!([OWN, FALLBACK].map(|path| version(after, path)), [Some(3); 2]);
    });
    assert!(states > 150, "{states}");
}

fn leftovers(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["EFI/systemd", "EFI/BOOT"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.to_ascii_lowercase().ends_with(".efi") {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found
}

#[test]
fn after_a_power_cut_of_a_first_installation_no_torn_boot_loader_stays_after_a_rerun() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("esp");
    std::fs::create_dir(&root).unwrap();
    let power = PowerCutDisk::on_fat(RealDisk::shared(), &root);
    let disk: std::sync::Arc<dyn sealstone_store::disk::Disk> = power.clone();
    install(&Esp::new(Dir::open(&disk, &root).unwrap()), 1);
    for_each_cut(&power, folder.path(), |point, after| {
        install(&esp(after), 1);
        assert_eq!([OWN, FALLBACK].map(|path| version(after, path)), [Some(1); 2], "a rerun after {point}");
        assert_eq!(std::fs::read_to_string(after.join("loader/loader.conf")).unwrap(), "timeout 5\n");
    });
}

/// The usual way: a temporary file, a rename over the old one, a sync of the folder.
#[test]
fn the_usual_replacement_is_seen_to_lose_the_boot_loader() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("esp");
    std::fs::create_dir(&root).unwrap();
    install(&esp(&root), 1);
    let power = PowerCutDisk::on_fat(RealDisk::shared(), &root);
    let disk: std::sync::Arc<dyn sealstone_store::disk::Disk> = power.clone();
    let boot = Dir::open(&disk, root.join("EFI/BOOT")).unwrap();
    let Blob::Bytes(new) = loader(2) else { unreachable!() };
    let file = boot.create_new("BOOTX64.TMP", 0o644).unwrap();
    file.write_all_at(0, &new).unwrap();
    file.sync().unwrap();
    boot.rename("BOOTX64.TMP", &boot, "BOOTX64.EFI", sealstone_store::disk::Rename::Replace).unwrap();
    boot.sync().unwrap();
    let mut lost = 0;
    for_each_cut(&power, folder.path(), |_, after| {
        let bytes = std::fs::read(after.join(FALLBACK)).unwrap_or_default();
        let is_whole =
            [1, 2].into_iter().any(|version| matches!(loader(version), Blob::Bytes(whole) if whole == bytes));
        lost += usize::from(!is_whole);
    });
    assert!(lost > 0, "the model finds nothing wrong with it");
}
