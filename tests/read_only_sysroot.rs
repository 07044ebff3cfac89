//! The system that runs has its physical root mounted read-only, as initramfs programs leave it: verbs that change something
//! write there without anybody's help, through mounts that are theirs alone; all others leave the mounts as they are.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::process::Command;

use kit::machine::Machine;
use kit::running::Running;
use kit::{Outcome, skip};

fn booted(test: &str) -> Option<(Running, String)> {
    let mut running = Running::new(test)?;
    running.push("2");
    running.machine.store(["update"]).succeeds();
    running.is_read_only = true;
    let line = running.command_line();
    Some((running, line))
}

#[test]
fn every_verb_that_changes_something_works_by_hand_on_the_system_that_runs() {
    let test = "every_verb_that_changes_something_works_by_hand_on_the_system_that_runs";
    let Some((running, line)) = booted(test) else { return };
    running.push("3");
    for args in [
        &["pin", "running"][..],
        &["kargs", "set", "quiet"],
        &["reconcile"],
        &["update", "--tls-verify=false"],
        &["prune", "staged"],
        &["rollback"],
        &["bless"],
        &["unpin", "running"],
        &["import", "--tls-verify=false", "--name", "three", &running.registry.reference("stable")],
        &["deploy", "three", "--stage"],
        &["finalize"],
        &["rm", "three"],
        &["gc"],
        &["fsck", "--repair"],
    ] {
        let done = running.store(&line, args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.stdout, done.stderr);
    }
    let status = running.store(&line, &["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["os"]["version"], "3");
}

#[test]
fn what_changes_nothing_leaves_the_mount_read_only() {
    let Some((running, line)) = booted("what_changes_nothing_leaves_the_mount_read_only") else { return };
    running.push("3");
    for args in [
        &["status"][..],
        &["update", "--check", "--tls-verify=false"],
        &["update", "--dry-run", "--tls-verify=false"],
        &["rollback", "--dry-run"],
        &["kargs"],
        &["gc", "--dry-run"],
    ] {
        let before = running.machine.snapshot();
        running.store(&line, args).succeeds();
        assert_eq!(running.machine.snapshot(), before, "{args:?}");
    }
}

#[test]
fn of_another_system_a_read_only_mount_is_left_as_it_is_and_the_message_says_what_to_do() {
    let test = "of_another_system_a_read_only_mount_is_left_as_it_is_and_the_message_says_what_to_do";
    let machine = Machine::new();
    machine.import_system("1");
    let sysroot = machine.sandbox.path("sysroot").display().to_string();
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", &sysroot, env!("CARGO_BIN_EXE_store")]);
    command.args(["pin", "default", "--sysroot", &sysroot]).arg("--esp").arg(machine.sandbox.path("esp"));
    if !kit::is_root() {
        return skip(test, "mount namespaces need root");
    }
    let refused = Outcome::of(&mut command).fails(1);
    assert!(refused.contains("is read-only: cannot ") && refused.contains("read-write"), "{refused}");
    assert!(!refused.contains("--repo"), "{refused}");
}
