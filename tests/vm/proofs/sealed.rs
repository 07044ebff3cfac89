//! Secure Boot → signed UKI → the image that its command line names → fs-verity: the chain holds, and each link breaks it.

use std::path::Path;
use std::time::Duration;

use super::fallback::falls_back;
use super::life::Life;
use super::update::there_and_back;
use crate::esp::Esp;
use crate::kit::layer::noise;
use crate::machine::limit;
use crate::sealing::Signed;
use crate::system_image::SystemImage;

#[test]
fn with_unified_kernel_images_it_updates_rolls_back_and_falls_back_alike() {
    let test = "with_unified_kernel_images_it_updates_rolls_back_and_falls_back_alike";
    let Some(life) = Life::begin_sealed("uki", Signed::Nothing, test) else { return };
    assert_eq!(Esp::of(&life.machine.disk()).ukis().len(), 1);
    let mut guest = life.machine.boots("1");
    there_and_back(&life, &mut guest);
    falls_back(&life, &mut guest);
    guest.switch_off("sync; poweroff -f");
}

#[test]
fn a_signed_system_boots_with_secure_boot_and_a_changed_byte_is_an_error() {
    let test = "a_signed_system_boots_with_secure_boot_and_a_changed_byte_is_an_error";
    let Some(life) = Life::begin_sealed("sealed", Signed::All, test) else { return };
    let mut guest = life.machine.boots("1");
    // Four bytes of attributes, then the value.
    let state = guest
        .succeeds("od -An -tx1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    assert!(state.trim().ends_with(" 01"), "Secure Boot is off: {state}");
    let mounts = guest.succeeds("cat /proc/mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(root.starts_with("composefs:") && root.contains("verity=require"), "{root}");
    guest.succeeds("cat /usr/share/payload/0 > /dev/null");
    guest.switch_off("sync; poweroff -f");

    // One bit of one object, on the disk.
    change_a_byte(&life.machine.disk(), &noise(4_096, SystemImage::seed("1")));
    let mut guest = life.machine.boots("1");
    let error = guest.run("cat /usr/share/payload/0 > /dev/null").fails();
    assert!(error.contains("Input/output error"), "{error}");
    guest.succeeds("cat /usr/share/payload/1 > /dev/null");
    guest.switch_off("poweroff -f");
}

#[test]
fn an_unsigned_system_does_not_boot_with_secure_boot() {
    let test = "an_unsigned_system_does_not_boot_with_secure_boot";
    let Some(life) = Life::begin_sealed("unsigned", Signed::LoaderAlone, test) else { return };
    let guest = life.machine.start();
    guest.console().wait_for_any(&["Access denied", "Access Denied", "Security Violation"], limit());
    std::thread::sleep(Duration::from_secs(5));
    assert!(!guest.console().text().contains("INIT version"));
}

#[test]
fn a_signed_system_that_names_another_image_stops_in_the_initramfs_and_says_why() {
    let test = "a_signed_system_that_names_another_image_stops_in_the_initramfs_and_says_why";
    let Some(life) = Life::begin_sealed("another-image", Signed::All, test) else { return };
    let other = "00".repeat(64);
    let esp = Esp::of(&life.machine.disk());
    let installed = esp.ukis();
    let [installed] = &installed[..] else { panic!("{installed:?}") };
    esp.put(installed, &life.uki_of_another_image("1", &other));
    let guest = life.machine.start();
    guest.console().wait_for_any(&["store-setup-root has no root for us"], limit());
    let said = guest.console().text();
    // What was asked for and what is there.
    let image = installed.rsplit_once("bootc_composefs-").expect("an id").1.trim_end_matches(".efi");
    assert!(said.contains(&other) && said.contains(image), "{said}");
    assert!(!said.contains("INIT version"), "{said}");
}

/// Changes a bit in the block of the disk that begins with these bytes.
fn change_a_byte(disk: &Path, block: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(disk).expect("the disk");
    let size = file.metadata().expect("metadata").len();
    let mut chunk = vec![0; 1 << 20];
    let mut changed = 0;
    for start in (0..size).step_by(1 << 20) {
        let count = file.read_at(&mut chunk, start).expect("the disk");
        for (number, found) in chunk[..count].chunks_exact(block.len()).enumerate() {
            if found == block {
                let at = start + (number * block.len()) as u64 + 100;
                file.write_all_at(&[block[100] ^ 1], at).expect("the disk");
                changed += 1;
            }
        }
    }
    assert_eq!(changed, 1, "the object lies on the disk once");
}
