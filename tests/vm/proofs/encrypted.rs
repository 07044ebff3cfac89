//! Roots in a LUKS2 volume: installed onto a device by a system that runs, opened at boot by what the installation wrote.

use super::life::{Dress, Life};
use crate::base::Base;
use crate::encrypted;
use crate::esp::Esp;
use crate::install::ARGUMENTS;
use crate::machine::{Running, limit};
use crate::plugged::Plugged;

/// Bytes of the disk that is installed onto.
const DISK: u64 = 4 << 30;

/// What the key opens.
const KEY: &str = "a very secret key";

/// What people are asked at the console.
const PROMPT: &str = "enter passphrase for disk";

#[test]
fn a_disk_encrypted_by_a_key_boots_for_whoever_types_it_and_takes_updates() {
    let test = "a_disk_encrypted_by_a_key_boots_for_whoever_types_it_and_takes_updates";
    let Some(life) = Life::begin_with("luks-key", test, dress) else { return };
    install(&life, Plugged::default(), "key-file --luks-key-file /tmp/key");

    let plugged = Plugged::default().keyboard();
    let mut guest = life.machine.start_plugged(&plugged);
    answers(&guest, "another key", 1);
    answers(&guest, KEY, 2);
    guest.is_up("1");
    is_encrypted(&mut guest);
    guest.succeeds("echo mine > /etc/of-the-machine");
    life.update(&mut guest, life.image("2"));
    guest.switch_off("sync; poweroff -f");

    let mut guest = life.machine.start_plugged(&plugged);
    answers(&guest, KEY, 1);
    guest.is_up("2");
    is_encrypted(&mut guest);
    assert_eq!(guest.succeeds("cat /etc/of-the-machine"), "mine\n");
    guest.switch_off("sync; poweroff -f");
}

/// Types a key when it is asked for, for the first, second, … `time` since the machine was switched on.
#[track_caller]
fn answers(guest: &Running, key: &str, time: usize) {
    guest.console().wait_for_times(PROMPT, time, limit());
    guest.types(key);
}

/// Systems with what makes and opens volumes.
fn dress(base: &'static Base) -> Dress {
    let layers = encrypted::layers(base);
    Box::new(move |image| image.with_layers(&layers))
}

/// Boots the machine, installs onto a second disk from there, and gives it that one in place of its own.
#[track_caller]
fn install(life: &Life, plugged: Plugged, luks: &str) {
    let disk = life.machine.path("encrypted");
    std::fs::File::create(&disk).and_then(|file| file.set_len(DISK)).expect("a disk");
    let mut guest = life.machine.start_plugged(&plugged.disk(&disk));
    guest.is_up("1");
    guest.succeeds(&format!("modprobe -a loop dm_crypt; printf %s '{KEY}' > /tmp/key"));
    let image = life.reference();
    let arguments = ARGUMENTS.map(|argument| format!("--karg {argument}")).join(" ");
    let answer = guest.run(&format!(
        "store install to-disk /dev/vdb {image} --tls-verify=false --esp-size 400M {arguments} --luks {luks}"
    ));
    println!("{}: installed in {:.1} s", life.machine.disk().display(), answer.took.as_secs_f32());
    answer.succeeds();
    guest.switch_off("sync; poweroff -f");
    std::fs::rename(disk, life.machine.disk()).expect("the disk");
    Esp::of(&life.machine.disk()).put("::/loader/loader.conf", b"timeout 0\n");
}

/// The root is an image that the kernel verifies, on a file system in the volume that the machine's arguments name.
#[track_caller]
fn is_encrypted(guest: &mut Running) {
    let mounts = guest.succeeds("cat /proc/mounts");
    let of =
        |place: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(place)).expect("a mount");
    let (root, physical) = (of("/"), of("/sysroot"));
    assert!(root.starts_with("composefs:") && root.contains("verity=require"), "{root}");
    let line = guest.succeeds("cat /proc/cmdline");
    let uuid = line.split_whitespace().find_map(|argument| argument.strip_prefix("luks.uuid="));
    let volume = format!("luks-{}", uuid.unwrap_or_else(|| panic!("{line}")));
    assert!(
        physical.starts_with("/dev/dm-0 ") || physical.starts_with(&format!("/dev/mapper/{volume} ")),
        "{physical}"
    );
    assert_eq!(guest.succeeds("cat /sys/block/dm-0/dm/name").trim(), volume);
    let slaves = guest.succeeds("ls /sys/block/dm-0/slaves");
    assert_eq!(slaves.trim(), "vda2");
}
