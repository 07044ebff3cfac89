//! Boot counting: an update that never comes up is left by the boot loader, and the system says so.

use super::life::{Life, UPDATE};
use crate::base::Kind;
use crate::machine::Running;

#[test]
fn a_broken_update_falls_back_after_its_tries_and_is_not_taken_again() {
    let test = "a_broken_update_falls_back_after_its_tries_and_is_not_taken_again";
    let Some(life) = Life::begin("fallback", Kind::Tiny, test) else { return };
    let mut guest = life.machine.boots("1");
    falls_back(&life, &mut guest);

    life.update(&mut guest, life.image("3"));
    guest.reboots("sync; reboot -f", "3");
    guest.succeeds("store bless");
    let menu = entries(&mut guest);
    assert!(menu.iter().all(|name| !name.contains('+')), "{menu:?}");
    guest.switch_off("sync; poweroff -f");
}

/// From version 1 to one that never comes up, and back without anybody's help.
pub fn falls_back(life: &Life, guest: &mut Running) {
    life.push(life.image("broken").broken());
    guest.succeeds(&format!("{UPDATE} --boot-tries 2"));
    let menu = entries(guest);
    assert_eq!(menu.iter().filter(|name| name.contains("+2-0")).count(), 1, "{menu:?}");
    guest.reboots("sync; reboot -f", "1");
    let console = guest.console().text();
    assert_eq!(console.matches("INIT is broken").count(), 2, "{console}");
    let status = guest.json("store status --json");
    println!("fallback: {}", status["fallback"]);
    let reason = status["fallback"]["reason"].as_str();
    assert!(reason.is_some_and(|reason| reason.contains("after 2 tries")), "{status:#}");
    guest.succeeds("store bless");
    // The same image is offered, and not taken.
    guest.succeeds(UPDATE);
    guest.reboots("sync; reboot -f", "1");
}

/// The names of the entries in the boot menu.
fn entries(guest: &mut Running) -> Vec<String> {
    guest.succeeds("ls /boot/loader/entries").split_whitespace().map(str::to_owned).collect()
}
