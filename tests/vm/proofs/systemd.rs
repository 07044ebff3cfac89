//! A system with systemd: an update is staged, finalised at shutdown by its unit, and blessed once it is up.

use super::life::Life;
use crate::base::{Kind, all_are_wanted};

#[test]
fn with_systemd_an_update_is_finalised_at_shutdown_and_blessed_when_it_is_up() {
    let test = "with_systemd_an_update_is_finalised_at_shutdown_and_blessed_when_it_is_up";
    if !all_are_wanted(test) {
        return;
    }
    let Some(life) = Life::begin("systemd", Kind::Systemd, test) else { return };
    let mut guest = life.machine.boots("1");
    let mounts = guest.succeeds("cat /proc/mounts");
    let root = mounts.lines().find(|line| line.starts_with("composefs:")).expect("a root");
    assert!(root.contains("verity=require"), "{root}");
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
