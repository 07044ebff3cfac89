//! What we install is laid out so that another program makes it a root: that of composefs-rs, from which bootc's derives.

use super::life::{Dress, Life};
use super::update::there_and_back;
use crate::base::Base;
use crate::initramfs::{self, RootProgram};
use crate::machine::Running;

/// What bootc's initramfs does with `/etc` when nothing is said; the one of composefs-rs would lay an overlay on it.
const AS_BOOTC: &str = "[etc]\nmount = \"bind\"\n";

#[test]
fn the_initramfs_program_of_composefs_boots_what_we_install_update_and_roll_back() {
    let test = "the_initramfs_program_of_composefs_boots_what_we_install_update_and_roll_back";
    let Some(life) = Life::begin_with("other-program", test, |base| dress(base, AS_BOOTC)) else {
        return;
    };
    let mut guest = life.machine.boots("1");
    is_the_image_by_the_other_program(&mut guest);
    there_and_back(&life, &mut guest);
    is_the_image_by_the_other_program(&mut guest);
    guest.switch_off("sync; poweroff -f");
}

#[test]
fn the_initramfs_program_of_composefs_boots_what_we_install_with_its_own_defaults() {
    let test = "the_initramfs_program_of_composefs_boots_what_we_install_with_its_own_defaults";
    let Some(life) = Life::begin_with("other-defaults", test, |base| dress(base, "")) else {
        return;
    };
    let mut guest = life.machine.boots("1");
    is_the_image_by_the_other_program(&mut guest);
    // An overlay on /etc; what is written stays.
    let mounts = guest.succeeds("cat /proc/mounts");
    assert!(mounts.lines().any(|line| line.starts_with("overlay /etc overlay rw,")), "{mounts}");
    guest.succeeds("echo mine > /etc/of-the-machine; echo kept > /var/kept");
    guest.reboots("sync; reboot -f", "1");
    assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version /var/kept"), "mine\n1\nkept\n");
    guest.switch_off("sync; poweroff -f");
}

/// Systems with the other program in their initramfs, which is told this configuration.
fn dress(base: &'static Base, configuration: &str) -> Dress {
    let initramfs = initramfs::make(&base.modules(), RootProgram::OfComposefs, Some(configuration));
    Box::new(move |image| image.with_initramfs(base, initramfs.clone()))
}

/// The root is an image that the kernel verifies, and our program had no part in it: it says what it does.
#[track_caller]
fn is_the_image_by_the_other_program(guest: &mut Running) {
    let root = guest.mounted_at("/");
    assert!(root.starts_with("composefs:") && root.contains("verity=require"), "{root}");
    let messages = guest.succeeds("dmesg");
    assert!(!messages.contains("store-setup-root: "), "{messages}");
}
