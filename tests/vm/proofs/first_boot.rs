//! From nothing to a system that runs: a disk made here, without root, booted by firmware and boot loader.

use super::life::Life;
use super::update::there_and_back;
use crate::base::Kind;
use crate::machine::DiskKind;

#[test]
fn a_disk_made_here_boots_into_a_root_that_the_kernel_verifies() {
    let test = "a_disk_made_here_boots_into_a_root_that_the_kernel_verifies";
    let Some(life) = Life::begin("first-boot", Kind::Tiny, test) else { return };
    let mut guest = life.machine.boots("1");
    guest.is_verified();
    guest.switch_off("poweroff -f");
}

#[test]
fn a_qcow2_disk_with_sectors_of_4096_bytes_boots_and_takes_updates() {
    let test = "a_qcow2_disk_with_sectors_of_4096_bytes_boots_and_takes_updates";
    let disk = DiskKind { format: "qcow2", sector: 4_096 };
    let Some(life) = Life::begin_on(disk, "qcow2", test) else { return };
    let mut guest = life.machine.boots("1");
    assert_eq!(guest.succeeds("cat /sys/block/vda/queue/logical_block_size"), "4096\n");
    guest.is_verified();
    there_and_back(&life, &mut guest);
    guest.is_verified();
    guest.switch_off("sync; poweroff -f");
}
