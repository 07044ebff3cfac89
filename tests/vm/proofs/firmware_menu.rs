//! What the firmware and the boot loader are told by EFI variables, which are OVMF's own here.

use super::life::{Life, UPDATE};

/// Nobody but the firmware's own menu knows the boot loader then.
const HIDE_REMOVABLE_PATH: &str = "mv /boot/EFI/BOOT /boot/EFI/hidden && sync";

#[test]
fn what_is_asked_for_boots_once_and_the_boot_loader_is_in_the_firmwares_menu_when_it_is_told() {
    let test = "what_is_asked_for_boots_once_and_the_boot_loader_is_in_the_firmwares_menu_when_it_is_told";
    let Some(life) = Life::begin_with("firmware-menu", test, |_| Box::new(|image| image)) else { return };
    let mut guest = life.machine.boots("1");
    life.update(&mut guest, life.image("2"));
    guest.reboots("sync; reboot -f", "2");

    guest.succeeds("store boot-next rollback");
    let status = guest.succeeds("store status");
    assert!(status.contains("once"), "{status}");
    guest.reboots("sync; reboot -f", "1");
    guest.reboots("sync; reboot -f", "2");
    guest.succeeds("store boot-next rollback && store boot-next --clear");
    guest.reboots("sync; reboot -f", "2");

    life.push(life.image("3"));
    guest.succeeds(&format!("{UPDATE} --efi-variables"));
    guest.succeeds(HIDE_REMOVABLE_PATH);
    guest.reboots("sync; reboot -f", "3");
    // Told again, it has nothing to say.
    let variables =
        "cat /sys/firmware/efi/efivars/Boot* | cksum; ls /sys/firmware/efi/efivars | grep -c ^Boot";
    let before = guest.succeeds(variables);
    life.push(life.image("4"));
    guest.succeeds(&format!("{UPDATE} --efi-variables"));
    assert_eq!(guest.succeeds(variables), before);
    guest.reboots("sync; reboot -f", "4");
    guest.switch_off("sync; poweroff -f");
}
