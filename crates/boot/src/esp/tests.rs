//! The promises of a boot partition, on a recording and a failing disk over a temporary directory.

use std::sync::Arc;

use rustix::io::Errno;
use sealstone_store::disk::{Call, Dir, Disk, FailingDisk, RealDisk, RecordingDisk};

use super::*;

fn pair() -> BootPair {
    BootPair::read(Blob::Bytes(vec![7; 70_000]), Blob::Bytes(vec![9; 30_001])).unwrap()
}

fn digest() -> BootDigest {
    pair().sizes().digest
}

fn esp_on(disk: &Arc<dyn Disk>, folder: &tempfile::TempDir) -> Esp {
    Esp::new(Dir::open(disk, folder.path()).unwrap())
}

fn entry(digest: &BootDigest) -> (EntryName, BlsEntry) {
    let (linux, initrd) = Esp::kernel_paths(digest);
    let mut entry = BlsEntry::new();
    entry.set("title", "Debian").unwrap().set("linux", &linux).unwrap().set("initrd", &initrd).unwrap();
    (EntryName::parse("bootc_debian-13-1.conf").unwrap(), entry)
}

fn install(esp: &Esp) -> Result<(), BootError> {
    let (name, entry) = entry(&digest());
    esp.write_kernel(&pair())?;
    esp.write_entry(&name, &entry)
}

fn entries(esp: &Esp) -> Vec<String> {
    esp.entries().unwrap().iter().map(|found| format!("{found:?}")).collect()
}

#[test]
fn kernel_and_initramfs_are_durable_and_read_back_before_the_entry_exists() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    install(&esp_on(&disk, &folder)).unwrap();

    let log = recording.log();
    let digest = digest();
    let dir = format!("EFI/Linux/bootc_composefs-{digest}");
    let all = |name: &str, end: &str| -> Vec<usize> {
        (0..log.len()).filter(|n| log[*n].name == name && log[*n].path.ends_with(end)).collect()
    };
    let entry_file = "loader/entries/bootc_debian-13-1.conf";
    let entry_made = all("CreateNew", entry_file)[0];
    for file in [format!("{dir}/vmlinuz"), format!("{dir}/initrd")] {
        let made = all("CreateNew", &file)[0];
        let last_write = *all("Write", &file).last().unwrap();
        let synced = all("SyncFile", &file)[0];
        let table = all("SyncDir", &dir).iter().any(|n| (last_write..synced).contains(n));
        assert!(table, "{file}: the table of clusters is durable before an entry leads to it");
        let named = *all("SyncDir", &dir).iter().find(|n| **n > synced).unwrap();
        let read = all("Read", &file)[0];
        assert!(made < last_write && last_write < synced && synced < named, "{file}");
        assert!(named < read && read < entry_made, "{file} is read back before the entry is made");
    }
    let synced = all("SyncFile", entry_file)[0];
    let named = *all("SyncDir", "loader/entries").last().unwrap();
    assert!(entry_made < synced && synced < named);
    let folders = [&dir, "EFI/Linux", "loader/entries"].map(|path| folder.path().join(path));
    for call in log.iter().filter(|call| call.name == "Rename") {
        assert!(folders.contains(&call.path), "vfat renames make empty entries of files durable: {call:?}");
    }
}

#[test]
fn a_failure_at_any_call_leaves_no_bootable_entry_without_its_kernel_and_a_rerun_succeeds() {
    for nth in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let failing = FailingDisk::new(RealDisk::shared(), nth, true, Errno::IO, |_| true);
        let disk: Arc<dyn Disk> = failing.clone();
        let failed = Dir::open(&disk, folder.path()).map(Esp::new).is_ok_and(|esp| install(&esp).is_ok());
        let esp = esp_on(&RealDisk::shared(), &folder);
        if esp
            .entries()
            .unwrap()
            .iter()
            .any(|found| matches!(found, FoundEntry::Entry(_, entry) if entry.is_bootable()))
        {
            assert_eq!(esp.kernels().unwrap(), [digest()]);
        }
        install(&esp).unwrap();
        assert_eq!(entries(&esp).len(), 1);
        if !failing.has_failed() {
            assert!(failed && nth > 30);
            break;
        }
    }
}

#[test]
fn no_space_leaves_no_half_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let full = FailingDisk::new(RealDisk::shared(), 1, true, Errno::NOSPC, |call| {
        matches!(call, Call::Write { .. })
    });
    let disk: Arc<dyn Disk> = full;
    assert!(matches!(
        install(&esp_on(&disk, &folder)),
        Err(BootError::Store(sealstone_store::Error::NoSpace { .. }))
    ));
    let kernel = folder.path().join(format!("EFI/Linux/bootc_composefs-{}", digest()));
    let left: Vec<_> = kernel.read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["vmlinuz"], "the first file is whole, the second is not there");
}

#[test]
fn a_second_write_of_the_same_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let esp = esp_on(&disk, &folder);
    install(&esp).unwrap();
    recording.clear();
    install(&esp).unwrap();
    assert_eq!(
        (recording.count("Write"), recording.count("CreateNew"), recording.count("RemoveFile")),
        (0, 0, 0)
    );
}

#[test]
fn a_damaged_kernel_is_written_anew_and_a_torn_entry_makes_way() {
    let folder = tempfile::tempdir().unwrap();
    let esp = esp_on(&RealDisk::shared(), &folder);
    install(&esp).unwrap();
    let kernel = folder.path().join(format!("EFI/Linux/bootc_composefs-{}/vmlinuz", digest()));
    std::fs::write(&kernel, vec![0; 70_000]).unwrap();
    std::fs::write(folder.path().join("loader/entries/bootc_debian-13-1.conf"), "").unwrap();
    install(&esp).unwrap();
    assert_eq!(std::fs::read(&kernel).unwrap(), vec![7; 70_000]);
    assert!(matches!(&esp.entries().unwrap()[..], [FoundEntry::Entry(_, entry)] if entry.is_bootable()));
}

#[test]
fn another_bootable_entry_is_never_overwritten_whatever_the_case_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let esp = esp_on(&RealDisk::shared(), &folder);
    std::fs::create_dir_all(folder.path().join("loader/entries")).unwrap();
    let foreign = folder.path().join("loader/entries/BOOTC_debian-13-1.conf");
    std::fs::write(&foreign, "title Mine\nlinux /mine\n").unwrap();
    assert!(matches!(install(&esp), Err(BootError::Occupied { .. })));
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "title Mine\nlinux /mine\n");
}

#[test]
fn foreign_and_broken_files_are_reported_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let esp = esp_on(&RealDisk::shared(), &folder);
    let place = folder.path().join("loader/entries");
    std::fs::create_dir_all(place.join("folder.conf")).unwrap();
    std::fs::write(place.join("windows.conf"), "title Windows\nefi /EFI/Microsoft/Boot/bootmgfw.efi\n")
        .unwrap();
    std::fs::write(place.join("garbage.conf"), [0xff, 0xfe]).unwrap();
    std::fs::write(place.join("huge.conf"), vec![b'a'; ENTRY_MAX + 1]).unwrap();
    std::fs::write(place.join("notes.txt"), "").unwrap();
    install(&esp).unwrap();
    let found = esp.entries().unwrap();
    let broken = |f: &&FoundEntry| matches!(f, FoundEntry::Broken { .. });
    assert_eq!((found.len(), found.iter().filter(broken).count()), (5, 3));
}

#[test]
fn an_entry_that_needs_two_clusters_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let esp = esp_on(&RealDisk::shared(), &folder);
    let (name, mut entry) = entry(&digest());
    entry.set("options", &"a".repeat(5000)).unwrap();
    assert!(matches!(esp.write_entry(&name, &entry), Err(BootError::TooBig { limit: 4096, .. })));
}

#[test]
fn space_is_counted_in_whole_clusters_and_only_for_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let esp = esp_on(&RealDisk::shared(), &folder);
    let sizes = *pair().sizes();
    let cluster = esp.space().unwrap().block;
    let files = 70_000_u64.next_multiple_of(cluster) + 30_001_u64.next_multiple_of(cluster);
    assert_eq!(esp.bytes_needed(&sizes).unwrap(), files + 4 * cluster);
    install(&esp).unwrap();
    assert_eq!(esp.bytes_needed(&sizes).unwrap(), 4 * cluster);
    assert!(matches!(esp.check_space(u64::MAX), Err(BootError::NoSpace { .. })));
}

#[test]
fn a_removed_entry_is_durably_gone_before_its_kernel_goes() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let esp = esp_on(&disk, &folder);
    install(&esp).unwrap();
    recording.clear();
    esp.remove_entry(&EntryName::parse("bootc_debian-13-1.conf").unwrap()).unwrap();
    esp.remove_kernel(&digest()).unwrap();
    let synced = recording.position("SyncDir", "loader/entries").unwrap();
    assert!(recording.position("RemoveFile", "bootc_debian-13-1.conf").unwrap() < synced);
    assert!(synced < recording.position("RemoveFile", "vmlinuz").unwrap());
    assert!(esp.kernels().unwrap().is_empty() && esp.entries().unwrap().is_empty());
}
