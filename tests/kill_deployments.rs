//! Verbs of deployments killed at their system calls: the system that was there boots, and the next run succeeds.
//!
//! `strace` kills the command at the Nth call of each kind that changes something, for growing N until it comes through;
//! with `SEALSTONE_SOAK` at every single one. What boots is found here by looking at the files, without the libraries.
#![allow(clippy::disallowed_methods, reason = "sysroots are ordinary folders")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use kit::boots::Place;
use kit::kills::kill_at_each_call;
use kit::{Image, Layer};

fn system(version: &str) -> Image {
    let release = format!("ID=example\nVERSION_ID={version}\nPRETTY_NAME=\"Example {version}\"\n");
    let top =
        Layer::new().file("usr/lib/os-release", release.as_bytes()).file("etc/version", version.as_bytes());
    Image::new().layer(Layer::system(&format!("6.{version}.0"))).layer(top)
}

fn store(program: &mut Command, folder: &Path, args: &[&str]) -> bool {
    let on = ["--sysroot", "sysroot", "--esp", "esp"];
    let is_of_systems = !["init", "import", "rm", "gc"].contains(&args[0]);
    let command = program.args(args).args(on.iter().filter(|_| is_of_systems)).current_dir(folder);
    let command = command.env("SEALSTONE_REPO", "sysroot/composefs").env("HOME", folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the command starts").success()
}

fn run(folder: &Path, args: &[&str]) -> bool {
    store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder, args)
}

/// A sysroot with the systems 1 and 2, the second of which boots by default; 3 is imported.
fn machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["sysroot", "esp"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    assert!(run(folder.path(), &["init"]));
    for version in ["1", "2", "3"] {
        system(version).write(&folder.path().join("layout"));
        assert!(run(folder.path(), &["import", "--name", version, "oci:layout"]));
        assert!(version == "3" || run(folder.path(), &["deploy", version]));
    }
    folder
}

/// What a system lacks to boot, if anything.
fn missing_system(folder: &Path, version: &str) -> Option<String> {
    let title = format!("title Example {version}\n");
    Place { sysroot: "sysroot", etc: ("version", version) }.missing(folder, |text| text.starts_with(&title))
}

/// Runs the command on copies of a machine, killed at ever later calls; `stays` are the systems that must boot all the
/// time, `comes` one that must once the command was run again, with the verb `again`.
fn killed(test: &str, template: &Path, args: &[&str], again: &[&str], stays: &[&str], comes: &str) {
    let kill = |program: &mut Command, folder: &Path| store(program, folder, args);
    kill_at_each_call(test, template, kill, |folder, place| {
        for version in stays {
            assert_eq!(missing_system(folder, version), None, "{place}");
        }
        assert!(run(folder, again), "again after {place}");
        for version in stays.iter().chain([&comes]) {
            assert_eq!(missing_system(folder, version), None, "again after {place}");
        }
        assert!(run(folder, &["status"]), "all is well again after {place}");
    });
}

#[test]
fn a_deploy_killed_at_any_call_leaves_the_old_system_and_is_finished_by_the_next() {
    let deploy = ["deploy", "3", "--keep", "2"];
    killed("deploy", machine().path(), &deploy, &deploy, &["2"], "3");
}

#[test]
fn an_update_killed_at_any_call_leaves_the_old_system_and_is_finished_by_the_next() {
    // What 2 was imported from has 3 now.
    killed("update", machine().path(), &["update"], &["update"], &["2"], "3");
}

#[test]
fn a_staged_deploy_killed_at_any_call_leaves_the_menu_and_is_finished_by_the_next() {
    let stage = ["deploy", "3", "--stage"];
    killed("deploy --stage", machine().path(), &stage, &stage, &["1", "2"], "2");
}

#[test]
fn a_finalisation_killed_at_any_call_leaves_the_old_system_and_is_finished_by_the_next() {
    let machine = machine();
    assert!(run(machine.path(), &["deploy", "3", "--stage"]));
    killed("finalize", machine.path(), &["finalize"], &["finalize"], &["1", "2"], "3");
}

#[test]
fn a_rollback_killed_at_any_call_leaves_both_systems() {
    killed("rollback", machine().path(), &["rollback"], &["reconcile"], &["1", "2"], "1");
}

#[test]
fn a_prune_killed_at_any_call_leaves_what_stays_and_is_finished_by_the_next() {
    let machine = machine();
    assert!(run(machine.path(), &["deploy", "3"]));
    let prune = ["prune", "--keep", "2"];
    killed("prune", machine.path(), &prune, &prune, &["2", "3"], "3");
}

#[test]
fn a_gc_killed_at_any_call_leaves_what_is_deployed() {
    let machine = machine();
    assert!(run(machine.path(), &["rm", "1", "2", "3"]));
    killed("gc", machine.path(), &["gc"], &["gc"], &["1", "2"], "2");
}
