//! From nothing to a system that runs: a disk made here, without root, booted by firmware and boot loader.

use super::life::Life;
use crate::base::Kind;

#[test]
fn a_disk_made_here_boots_into_a_root_that_the_kernel_verifies() {
    let test = "a_disk_made_here_boots_into_a_root_that_the_kernel_verifies";
    let Some(life) = Life::begin("first-boot", Kind::Tiny, test) else { return };
    let mut guest = life.machine.boots("1");
    let mounts = guest.succeeds("cat /proc/mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(root.starts_with("composefs:") && root.contains(" overlay ro,"), "{root}");
    assert!(root.contains("verity=require"), "{root}");
    guest.switch_off("poweroff -f");
}
