//! The life of a system: an update from a registry, edits of `/etc` carried, and the way back.

use super::life::Life;
use crate::base::Kind;
use crate::machine::Running;

#[test]
fn an_update_carries_edits_of_etc_and_a_rollback_leads_back() {
    let test = "an_update_carries_edits_of_etc_and_a_rollback_leads_back";
    let Some(life) = Life::begin("update", Kind::Tiny, test) else { return };
    let mut guest = life.machine.boots("1");
    there_and_back(&life, &mut guest);
    guest.switch_off("sync; poweroff -f");
}

/// From version 1 to 2 and back.
pub fn there_and_back(life: &Life, guest: &mut Running) {
    guest.succeeds("echo mine > /etc/of-the-machine; echo kept > /var/kept");
    let took = life.update(guest, life.image("2"));
    println!("the update took {:.1} s", took.as_secs_f32());
    guest.reboots("sync; reboot -f", "2");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version /var/kept"), "mine\n2\nkept\n");
    guest.succeeds("store fsck");
    guest.succeeds("store rollback");
    guest.reboots("sync; reboot -f", "1");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version /var/kept"), "mine\n1\nkept\n");
}
