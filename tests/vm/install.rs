//! `store install to-disk` on this machine: a disk image in a plain file, without root and without loop devices.

use std::path::Path;

use super::esp::Esp;
use super::kit::{Outcome, Sandbox};
use super::machine::{DiskKind, Machine};

/// What the kernel of a guest is told: to speak on the first serial line, and to reboot when it panics.
pub const ARGUMENTS: [&str; 3] = ["console=ttyS0", "quiet", "panic=-1"];

/// Makes the disk of a machine from the image in a layout, booted with kernel arguments. Updates will come from `reference`.
#[track_caller]
pub fn to_disk(machine: &Machine, layout: &Path, reference: &str, arguments: &[&str]) {
    let disk = machine.disk().display().to_string();
    let image = format!("oci:{}", layout.display());
    let kind = machine.disk_kind();
    let sector = kind.sector.to_string();
    let mut args = vec!["install", "to-disk", &disk, &image, "--target-ref", reference];
    args.extend(["--format", kind.format, "--sector-size", &sector]);
    for argument in arguments {
        args.extend(["--karg", argument]);
    }
    let sandbox = Sandbox::new();
    Outcome::of(sandbox.command(args).env_remove("SEALSTONE_REPO")).succeeds();
    if kind != DiskKind::default() {
        return;
    }
    hide_menu(machine);
}

/// Nobody looks at the menu.
pub fn hide_menu(machine: &Machine) {
    Esp::of(&machine.disk()).put("::/loader/loader.conf", b"timeout 0\n");
}
