//! A unified kernel image on a machine that GRUB boots: refused before anything is written, since GRUB would not show it.

use sealstone_boot::BootRole;

use super::*;
use crate::{
    DeployError,
    kargs::Bootloader,
    testing::{Machine, Sealed, System, file},
};

/// shim and GRUB as an image has them for bootupd.
const GRUB: [(&str, &str); 2] = [
    (
        "usr/lib/bootupd/updates/EFI.json",
        r#"{"timestamp": "2026-01-01T00:00:00Z", "version": "grub2-2.12-1,shim-15.8"}"#,
    ),
    ("usr/lib/bootupd/updates/EFI/BOOT/BOOTX64.EFI", "MZ shim"),
];

/// systemd-boot as an image has it.
const SYSTEMD_BOOT: (&str, &str) =
    ("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ #### LoaderInfo: systemd-boot 257.9-1 ####");

fn sealed_with<'a>(version: &'a str, files: &[(&str, &str)]) -> Sealed<'a> {
    let mut system = System::new(version);
    system.more = files.iter().map(|(path, text)| file(path, text)).collect();
    Sealed { system, ..Sealed::new(version) }
}

#[track_caller]
fn refused(machine: &Machine, request: &DeployRequest) {
    let refused = plan_deploy(&machine.target(), request).unwrap_err();
    let DeployError::Unfit { profile, reason } = &refused else { panic!("{refused}") };
    assert_eq!(*profile, "bootable by GRUB");
    assert!(reason.contains("--boot-loader systemd-boot"), "{reason}");
}

#[test]
fn a_sealed_image_that_brings_grub_alone_is_refused_unless_somebody_else_looks_after_the_menu() {
    let machine = Machine::new();
    let (request, _) = machine.import_sealed(&sealed_with("1", &GRUB));
    refused(&machine, &request);
    refused(&machine, &DeployRequest { boot_loader: Some(Bootloader::Grub), ..request.clone() });
    assert!(machine.names("esp").is_empty());
    for left in [Bootloader::None, Bootloader::GrubCc] {
        let request = DeployRequest { boot_loader: Some(left), ..request.clone() };
        plan_deploy(&machine.target(), &request).unwrap();
    }
    // With systemd-boot beside it, that is taken.
    let both = [&GRUB[..], &[SYSTEMD_BOOT]].concat();
    let (request, _) = machine.import_sealed(&sealed_with("2", &both));
    plan_deploy(&machine.target(), &request).unwrap();
    refused(&machine, &DeployRequest { boot_loader: Some(Bootloader::Grub), ..request });
}

#[test]
fn a_machine_that_grub_boots_takes_no_sealed_image_that_brings_no_boot_loader() {
    let machine = Machine::new();
    let (request, _) = machine.import_sealed(&Sealed::new("1"));
    plan_deploy(&machine.target(), &request).unwrap();
    std::fs::create_dir_all(machine.path("sysroot/boot/grub2")).unwrap();
    refused(&machine, &request);
    std::fs::remove_dir_all(machine.path("sysroot/boot")).unwrap();
    // A /boot of its own is what GRUB reads.
    let mut target = machine.target();
    target.esps = vec![target.esps[0].clone().with_role(BootRole::Boot)];
    assert!(matches!(plan_deploy(&target, &request), Err(DeployError::Unfit { .. })));
    // What has a kernel is shown by GRUB as well.
    std::fs::create_dir_all(machine.path("sysroot/boot/grub2")).unwrap();
    plan_deploy(&machine.target(), &machine.import(&System::new("2"))).unwrap();
    // Once systemd-boot is there, it boots, whatever GRUB has left.
    let (with, _) = machine.import_sealed(&sealed_with("3", &[SYSTEMD_BOOT]));
    machine.deploy(&with);
    plan_deploy(&machine.target(), &request).unwrap();
}
