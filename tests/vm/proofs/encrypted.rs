//! Roots in a LUKS2 volume: installed onto a device by a system that runs, opened at boot by what the installation wrote.

use super::life::{Dress, Life};
use crate::base::Base;
use crate::devices;
use crate::kit::skip;
use crate::machine::{Running, limit};
use crate::plugged::Plugged;
use crate::tpm::Tpm;

/// What the key opens.
const KEY: &str = "a very secret key";

/// What people are asked at the console.
const PROMPT: &str = "enter passphrase for disk";

/// What the initramfs says at last when it has no root (`tests/vm/base-devices`).
const GAVE_UP: &str = "THE INITRAMFS GAVE UP";

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

#[test]
fn a_disk_encrypted_for_the_tpm_boots_without_a_key_and_not_in_another_machine() {
    let test = "a_disk_encrypted_for_the_tpm_boots_without_a_key_and_not_in_another_machine";
    let Some((life, tpm)) = begin_with_tpm("luks-tpm", test) else { return };
    install(&life, Plugged::default().tpm(&tpm), "tpm2");

    let mut guest = life.machine.start_plugged(&Plugged::default().tpm(&tpm));
    guest.is_up("1");
    is_encrypted(&mut guest);
    let header = guest.succeeds("cryptsetup luksDump /dev/vda2");
    assert_eq!(header.matches(": luks2\n").count(), 1, "{header}");
    assert!(header.contains("systemd-tpm2"), "{header}");
    guest.succeeds("echo mine > /etc/of-the-machine");
    life.update(&mut guest, life.image("2"));
    guest.reboots("sync; reboot -f", "2");
    is_encrypted(&mut guest);
    guest.switch_off("sync; poweroff -f");

    // The disk in another machine.
    let other = Tpm::new(life.machine.path("other-tpm"));
    let guest = life.machine.start_plugged(&Plugged::default().tpm(&other));
    guest.console().wait_for_any(&[GAVE_UP], limit());
    let said = guest.console().text();
    assert!(said.contains("Failed to unseal secret using TPM2") && !said.contains("INIT version"), "{said}");
    guest.cut();

    // And back in its own.
    let mut guest = life.machine.start_plugged(&Plugged::default().tpm(&tpm));
    guest.is_up("2");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine"), "mine\n");
    guest.switch_off("sync; poweroff -f");
}

#[test]
fn a_disk_encrypted_for_tpm_and_key_asks_for_the_key_in_another_machine_alone() {
    let test = "a_disk_encrypted_for_tpm_and_key_asks_for_the_key_in_another_machine_alone";
    let Some((life, tpm)) = begin_with_tpm("luks-both", test) else { return };
    install(&life, Plugged::default().tpm(&tpm), "key-file+tpm2 --luks-key-file /tmp/key --tpm2-pcrs 7");

    let mut guest = life.machine.start_plugged(&Plugged::default().tpm(&tpm));
    guest.is_up("1");
    is_encrypted(&mut guest);
    assert!(!guest.console().text().contains(PROMPT), "{}", guest.console().tail());
    let measured = guest.succeeds("cat /sys/class/tpm/tpm0/pcr-sha256/7");
    assert!(measured.trim().trim_matches('0').len() > 8, "the firmware measured nothing: {measured}");
    guest.switch_off("sync; poweroff -f");

    let other = Tpm::new(life.machine.path("other-tpm"));
    let mut guest = life.machine.start_plugged(&Plugged::default().tpm(&other).keyboard());
    answers(&guest, KEY, 1);
    guest.is_up("1");
    is_encrypted(&mut guest);
    guest.switch_off("sync; poweroff -f");
}

/// The same as without a TPM, where one can be emulated.
fn begin_with_tpm(name: &str, test: &str) -> Option<(Life, Tpm)> {
    if !Tpm::is_to_be_had() {
        skip(test, "there is no swtpm");
        return None;
    }
    let life = Life::begin_with(name, test, dress)?;
    let tpm = Tpm::new(life.machine.path("tpm"));
    Some((life, tpm))
}

/// Types a key when it is asked for, for the first, second, … `time` since the machine was switched on.
#[track_caller]
fn answers(guest: &Running, key: &str, time: usize) {
    guest.console().wait_for_times(PROMPT, time, limit());
    guest.types(key);
}

/// Systems with what makes and opens volumes.
fn dress(base: &'static Base) -> Dress {
    let layers = devices::encrypted(base);
    Box::new(move |image| image.with_layers(&layers))
}

/// Installs onto a device, encrypted.
#[track_caller]
fn install(life: &Life, plugged: Plugged, luks: &str) {
    let before = format!("modprobe -a loop dm_crypt; printf %s '{KEY}' > /tmp/key");
    life.install_on_device(plugged, &before, &format!("--luks {luks}"));
}

/// The root is an image that the kernel verifies, on a file system in the volume that the machine's arguments name.
#[track_caller]
fn is_encrypted(guest: &mut Running) {
    guest.is_verified();
    let physical = guest.mounted_at("/sysroot");
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
