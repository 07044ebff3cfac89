//! `store install to-filesystem`, as installers call it that partition and mount themselves: an ESP for the boot loader alone,
//! kernels and entries on an XBOOTLDR, a root.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::life::{Life, UPDATE};
use super::roots::of_any_root;
use crate::plugged::Plugged;

/// The partitions, as sfdisk takes them: the types of ESP, XBOOTLDR and this processor's root (Discoverable Partitions
/// Specification), and where in MiB each begins and how large it is.
const PARTITIONS: [(&str, u64, u64); 3] = [
    ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 1, 40),
    ("BC13C2FF-59E6-4262-A352-B275FD6F7172", 41, 400),
    ("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", 441, 3_000),
];

/// The root, mounted where it is installed.
const ROOT: &str = "mkdir /run/target && mount -t ext4 /dev/vdb3 /run/target";

/// The same on a subvolume of btrfs, as Fedora's installer makes one.
const SUBVOLUME: &str = "modprobe -a loop btrfs && mkfs.btrfs -q -f /dev/vdb3 && mkdir /run/top /run/target && \
    mount -t btrfs /dev/vdb3 /run/top && btrfs subvolume create /run/top/system && umount /run/top && \
    mount -t btrfs -o subvol=system /dev/vdb3 /run/target";

/// Below it, as the system itself shall have them.
const BOOT: &str = "mkdir /run/target/boot /run/target/efi && mount -t vfat /dev/vdb2 /run/target/boot && \
    mount -t vfat /dev/vdb1 /run/target/efi";

/// The same in the system.
const MOUNT: &str = "umount /boot; mount -t vfat /dev/vda2 /boot && mount -t vfat /dev/vda1 /efi";

/// What has what: the loader on the ESP alone, the rest on the XBOOTLDR alone.
const PLACES: &str = "test -f /efi/EFI/BOOT/BOOTX64.EFI && test ! -e /efi/loader/entries && test ! -e /efi/EFI/Linux && \
    test ! -e /boot/EFI/BOOT && ls /boot/loader/entries && ls /boot/EFI/Linux";

#[test]
fn with_an_xbootldr_a_system_installed_to_a_filesystem_boots_and_takes_updates_mounted_or_not() {
    let test = "with_an_xbootldr_a_system_installed_to_a_filesystem_boots_and_takes_updates_mounted_or_not";
    let Some(life) = Life::begin_with("to-filesystem", test, |_| Box::new(|image| image)) else { return };
    install(&life, ROOT);

    let mut guest = life.machine.boots("1");
    guest.is_verified();
    guest.succeeds(MOUNT);
    guest.succeeds(PLACES);
    guest.succeeds("echo mine > /etc/of-the-machine");
    life.update(&mut guest, life.image("2"));
    guest.reboots("sync; reboot -f", "2");
    guest.is_verified();

    // Found by the types of the partitions, as nothing is mounted.
    guest.succeeds("umount /boot");
    life.push(life.image("3"));
    guest.succeeds(UPDATE);
    guest.reboots("sync; reboot -f", "3");
    guest.is_verified();
    assert_eq!(guest.succeeds("cat /etc/of-the-machine"), "mine\n");
    guest.succeeds("umount /boot; store rollback");
    guest.reboots("sync; reboot -f", "2");
    guest.succeeds(MOUNT);
    guest.succeeds(PLACES);
    guest.switch_off("sync; poweroff -f");
}

#[test]
fn a_system_installed_to_a_subvolume_of_btrfs_boots_and_takes_updates() {
    let test = "a_system_installed_to_a_subvolume_of_btrfs_boots_and_takes_updates";
    let Some(life) = Life::begin_with("subvolume", test, of_any_root) else { return };
    install(&life, SUBVOLUME);

    let mut guest = life.machine.boots("1");
    guest.is_verified();
    let root = guest.mounted_at("/sysroot");
    assert!(root.contains(" btrfs ") && root.contains("subvol=/system "), "{root}");
    guest.succeeds(MOUNT);
    life.update(&mut guest, life.image("2"));
    guest.reboots("sync; reboot -f", "2");
    guest.is_verified();
    guest.switch_off("sync; poweroff -f");
}

/// Installs onto a disk of three partitions, with the root mounted so; nothing is said of where it is.
#[track_caller]
fn install(life: &Life, root: &str) {
    let disk = life.machine.path("device");
    partition(&disk);
    life.install_on(
        &disk,
        Plugged::default(),
        &format!("{root} && {BOOT}"),
        "to-filesystem --root /run/target",
    );
}

/// Makes a disk with the partitions and their file systems, which an installer does.
fn partition(disk: &Path) {
    std::fs::File::create(disk).and_then(|file| file.set_len(4 << 30)).expect("a disk");
    let lines = PARTITIONS
        .map(|(kind, start, size)| format!("start={}, size={}, type={kind}", start << 11, size << 11));
    let table = format!("label: gpt\n{}\n", lines.join("\n"));
    let mut sfdisk =
        Command::new("sfdisk").args(["--quiet"]).arg(disk).stdin(Stdio::piped()).spawn().expect("sfdisk");
    sfdisk.stdin.take().expect("a pipe").write_all(table.as_bytes()).expect("sfdisk reads");
    assert!(sfdisk.wait().expect("sfdisk").success());
    for ((_, start, size), bits) in PARTITIONS.iter().zip(["16", "32"]) {
        let mut mkfs = Command::new("mkfs.vfat");
        mkfs.args(["-F", bits, "--offset", &(start << 11).to_string()])
            .arg(disk)
            .arg((size << 10).to_string());
        runs(&mut mkfs);
    }
    let (_, start, size) = PARTITIONS[2];
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-O", "verity", "-E", &format!("offset={}", start << 20)])
        .arg(disk)
        .arg(format!("{size}M"));
    runs(&mut mkfs);
}

#[track_caller]
fn runs(command: &mut Command) {
    let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
