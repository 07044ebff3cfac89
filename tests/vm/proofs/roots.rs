//! Roots that are not ext4: installed onto a device by a system that runs, updated, and left again.

use super::life::{Dress, Life};
use super::update::there_and_back;
use crate::base::Base;
use crate::devices;
use crate::machine::Running;
use crate::plugged::Plugged;

/// What an installation says of a file system that has no fs-verity.
const UNPROTECTED: &str = "no fs-verity here";

#[test]
fn a_device_with_btrfs_boots_into_a_root_that_the_kernel_verifies_and_takes_updates() {
    let test = "a_device_with_btrfs_boots_into_a_root_that_the_kernel_verifies_and_takes_updates";
    let Some(life) = Life::begin_with("btrfs", test, of_any_root) else { return };
    let said = install(&life, "btrfs");
    assert!(!said.contains(UNPROTECTED), "{said}");
    let mut guest = life.machine.boots("1");
    assert!(is_on(&mut guest, "btrfs").contains("verity=require"));
    there_and_back(&life, &mut guest);
    assert!(is_on(&mut guest, "btrfs").contains("verity=require"));
    guest.switch_off("sync; poweroff -f");
}

#[test]
fn a_device_with_xfs_is_said_to_be_unprotected_boots_and_takes_updates() {
    let test = "a_device_with_xfs_is_said_to_be_unprotected_boots_and_takes_updates";
    let Some(life) = Life::begin_with("xfs", test, of_any_root) else { return };
    let said = install(&life, "xfs");
    assert!(said.contains(UNPROTECTED), "{said}");
    let mut guest = life.machine.boots("1");
    assert!(!is_on(&mut guest, "xfs").contains("verity=require"));
    there_and_back(&life, &mut guest);
    guest.succeeds("store fsck");
    guest.switch_off("sync; poweroff -f");
}

/// Systems with what makes, finds and mounts such roots.
pub fn of_any_root(base: &'static Base) -> Dress {
    let layers = devices::of_any_root(base);
    Box::new(move |image| image.with_layers(&layers))
}

#[track_caller]
fn install(life: &Life, file_system: &str) -> String {
    let before = format!("modprobe -a loop {file_system}");
    life.install_on_device(Plugged::default(), &before, &format!("--filesystem {file_system}"))
}

/// The root is an image on such a file system; its line of `/proc/mounts`.
#[track_caller]
fn is_on(guest: &mut Running, file_system: &str) -> String {
    let physical = guest.mounted_at("/sysroot");
    assert_eq!(physical.split(' ').nth(2), Some(file_system), "{physical}");
    let root = guest.mounted_at("/");
    assert!(root.starts_with("composefs:") && root.contains(" overlay ro,"), "{root}");
    root
}
