//! A system with systemd: an update is staged, its unit finalises it at shutdown, and blessed once it is up; and one that
//! is updated by a soft reboot.

use super::life::{Dress, Life, UPDATE};
use crate::base::{Kind, all_are_wanted};
use crate::initramfs;
use crate::kit::Layer;
use crate::machine::Running;

#[test]
fn with_systemd_an_update_is_finalised_at_shutdown_and_blessed_when_it_is_up() {
    let test = "with_systemd_an_update_is_finalised_at_shutdown_and_blessed_when_it_is_up";
    if !all_are_wanted(test) {
        return;
    }
    let Some(life) = Life::begin("systemd", Kind::Systemd, test) else { return };
    let mut guest = life.machine.boots("1");
    guest.is_verified();
    life.push(life.image("2"));
    guest.succeeds("store update --tls-verify=false");
    // After it was staged: the unit takes it along.
    guest.succeeds("echo late > /etc/of-the-machine");
    guest.reboots("systemctl reboot", "2");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version"), "late\n2\n");
    guest.succeeds("for i in $(seq 100); do ls /boot/loader/entries | grep -qF + || break; sleep 1; done");
    let menu = guest.succeeds("ls /boot/loader/entries");
    assert!(!menu.contains('+'), "{menu}");
    guest.succeeds("store rollback");
    guest.reboots("systemctl reboot", "1");
    guest.switch_off("systemctl poweroff");
}

#[test]
fn after_a_soft_reboot_updates_come_from_what_runs_and_not_from_what_booted() {
    let test = "after_a_soft_reboot_updates_come_from_what_runs_and_not_from_what_booted";
    let program = "usr/bin/store-setup-root";
    let dress = |_| -> Dress {
        let bytes = std::fs::read(initramfs::ours()).expect("our program");
        let layer = Layer::new().file_with_mode(program, 0o755, &bytes).finish();
        Box::new(move |image| image.with_layers(std::slice::from_ref(&layer)))
    };
    let Some(life) = Life::begin_with_kind("soft-reboot", Kind::Systemd, test, dress) else { return };
    let mut guest = life.machine.boots("1");
    let first = running(&mut guest);
    life.update(&mut guest, life.image("2"));
    let status = guest.json("store status --json");
    let second = status["next"]["deployment"].as_str().expect("what boots next").to_owned();
    assert_ne!(first, second);

    // As docs/boot.md says it.
    guest.succeeds(&format!("store-setup-root --target /run/nextroot --cmdline 'composefs={second}'"));
    guest.reboots("systemctl soft-reboot", "2");
    let told = guest.succeeds("cat /proc/cmdline");
    assert!(told.contains(&first) && !told.contains(&second), "the kernel is still the first's: {told}");
    assert_eq!(running(&mut guest), second);
    guest.succeeds("echo after > /etc/of-the-machine");
    life.push(life.image("3"));
    guest.succeeds(UPDATE);
    guest.reboots("systemctl reboot", "3");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine"), "after\n");
    guest.switch_off("systemctl poweroff");
}

/// The deployment that runs, as `store status` has it.
#[track_caller]
fn running(guest: &mut Running) -> String {
    let status = guest.json("store status --json");
    let deployments = status["deployments"].as_array().expect("deployments");
    let running = deployments.iter().find(|deployment| deployment["booted"] == true);
    running.and_then(|running| running["id"].as_str()).unwrap_or_else(|| panic!("{status}")).to_owned()
}
