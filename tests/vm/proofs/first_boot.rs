//! From nothing to a system that runs: a disk made here, without root, booted by firmware and boot loader.

use crate::base::Base;
use crate::install::to_disk;
use crate::machine::Machine;
use crate::system_image::SystemImage;

#[test]
fn a_disk_made_here_boots_into_a_root_that_the_kernel_verifies() {
    let test = "a_disk_made_here_boots_into_a_root_that_the_kernel_verifies";
    let Some(base) = Base::get(test) else { return };
    let machine = Machine::new("first-boot");
    let layout = machine.path("layout");
    SystemImage::new("1").write(base, &layout);
    to_disk(&machine, &layout, "oci:somewhere");
    let mut guest = machine.boots("1");
    let mounts = guest.succeeds("cat /proc/mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(root.starts_with("composefs:") && root.contains(" overlay ro,"), "{root}");
    assert!(root.contains("verity=require"), "{root}");
    guest.switch_off("poweroff -f");
}
