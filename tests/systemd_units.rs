//! The units in contrib/systemd are what systemd takes, and say what docs/updates.md says.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::path::PathBuf;
use std::process::Command;

use kit::{Sandbox, has};

fn units() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/systemd");
    let mut units: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.sort();
    assert!(units.len() >= 3, "{units:?}");
    units
}

fn unit(name: &str) -> String {
    let found = units().into_iter().find(|path| path.ends_with(name));
    std::fs::read_to_string(found.unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

/// The values of a key, word by word.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.flat_map(|value| value.split_whitespace().map(str::to_owned)).collect()
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if !has("systemd-analyze", "systemd_finds_no_fault_in_the_units") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).env("HOME", sandbox.path("."));
    // In an initramfs, systemd makes it from root=.
    std::fs::write(sandbox.path("sysroot.mount"), "[Mount]\nWhat=/dev/root\nWhere=/sysroot\n").unwrap();
    for path in units() {
        // The command, where this build has it; the initramfs program is built for itself.
        let text = std::fs::read_to_string(&path).unwrap().replace("/usr/bin/store-setup-root", "/bin/true");
        let text = text.replace("/usr/bin/store", env!("CARGO_BIN_EXE_store"));
        let copy = sandbox.path(path.file_name().unwrap().to_str().unwrap());
        std::fs::write(&copy, text).unwrap();
        verify.arg(copy);
    }
    let output = verify.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn a_fault_in_a_unit_would_be_found() {
    if !has("systemd-analyze", "a_fault_in_a_unit_would_be_found") {
        return;
    }
    let sandbox = Sandbox::new();
    let broken = sandbox.path("store-broken.service");
    std::fs::write(&broken, "[Service]\nType=oneshot\nExecStart=/nonexistent/store\nUnheardOf=1\n").unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&broken).output().unwrap();
    assert!(!output.status.success() || !output.stderr.is_empty());
}

#[test]
fn finalising_comes_after_every_service_and_before_the_file_systems_go() {
    let finalize = unit("store-finalize.service");
    // Stopped in the reverse order: after what comes after basic.target, before what this comes after.
    assert_eq!(values(&finalize, "DefaultDependencies"), ["no"]);
    assert!(values(&finalize, "After").contains(&"local-fs.target".to_owned()));
    for target in ["basic.target", "shutdown.target"] {
        assert!(values(&finalize, "Before").contains(&target.to_owned()), "{target}");
    }
    assert_eq!(values(&finalize, "Conflicts"), ["shutdown.target"]);
    for place in ["/sysroot", "/etc"] {
        assert!(values(&finalize, "RequiresMountsFor").contains(&place.to_owned()), "{place}");
    }
    assert_eq!(values(&finalize, "RemainAfterExit"), ["yes"]);
    assert!(finalize.contains("ExecStop=") && !finalize.contains("ExecStart="));
}

#[test]
fn the_initramfs_program_runs_for_both_arguments_and_stops_a_boot_that_it_cannot_serve() {
    let setup = unit("store-setup-root.service");
    // One of these two has to be there, and ostree's must not.
    assert_eq!(values(&setup, "ConditionKernelCommandLine"), ["|composefs", "|composefs.digest", "!ostree"]);
    assert_eq!(values(&setup, "ConditionPathExists"), ["/etc/initrd-release"]);
    assert_eq!(values(&setup, "Requires"), ["sysroot.mount"]);
    assert_eq!(values(&setup, "After"), ["sysroot.mount"]);
    assert!(values(&setup, "Before").contains(&"initrd-root-fs.target".to_owned()));
    assert_eq!(values(&setup, "OnFailure"), ["emergency.target"]);
}

#[test]
fn blessing_waits_for_every_check_of_the_boot_and_comes_before_the_rename_of_systemd() {
    let bless = unit("store-bless.service");
    assert_eq!(values(&bless, "Requires"), ["boot-complete.target"]);
    assert!(values(&bless, "After").contains(&"boot-complete.target".to_owned()));
    assert_eq!(values(&bless, "Before"), ["systemd-bless-boot.service"]);
    // What an image has to show for its updates to be counted (docs/boot-targets.md).
    assert_eq!(values(&bless, "WantedBy"), ["multi-user.target"]);
}

#[test]
fn the_verbs_that_units_call_exist_and_take_their_options() {
    let sandbox = Sandbox::new();
    for name in ["store-update.service", "store-finalize.service", "store-bless.service"] {
        let text = unit(name);
        let call = text.split("/usr/bin/store ").nth(1).expect("a call").split('\'').next().unwrap();
        let verb = call.split_whitespace().next().unwrap();
        let help = sandbox.store(["help", verb]).succeeds();
        let options = call.split_whitespace().chain(["--esp"]).filter(|word| word.starts_with("--"));
        for option in options {
            let option = option.split('=').next().unwrap();
            assert!(help.contains(option), "store {verb} has no {option}");
        }
    }
}
