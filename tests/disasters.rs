//! Kills, cancels, full and read-only file systems, two at once: the state before or the state after, and no litter.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use kit::layer::noise;
use kit::loop_disk::LoopDisk;
use kit::sandbox::listing;
use kit::{Image, Layer, Outcome, Sandbox, skip};

/// An image of about `megabytes` that takes a while.
fn big(megabytes: usize) -> Image {
    let mut layer = Layer::system("6.1.0").dir("usr/share");
    for number in 0..megabytes {
        layer = layer.file(&format!("usr/share/noise-{number}"), &noise(1_000_000, number as u64 + 10));
    }
    Image::new().layer(layer)
}

fn import_args(sandbox: &Sandbox, layout: &str, name: &str) -> [String; 6] {
    let reference = format!("oci:{}", sandbox.path(layout).display());
    ["--progress=json", "import", "--threads=2", "--name", name, &reference].map(str::to_owned)
}

/// Starts an import and waits until it has told `events` things.
fn start(sandbox: &Sandbox, name: &str, events: usize) -> Child {
    let mut command = sandbox.command(import_args(sandbox, "layout", name));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let stderr = child.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr).lines();
    for _ in 0..events {
        lines.next();
    }
    // The pipe has to stay open, and to be read, for the rest of the run.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn names(sandbox: &Sandbox) -> usize {
    sandbox.store(["images", "--json"]).json()["images"].as_array().expect("images").len()
}

/// What is left in the temporary folder.
fn litter(sandbox: &Sandbox) -> Vec<String> {
    let folder = sandbox.repository().join("sealstone/tmp");
    if folder.exists() { listing(&folder) } else { Vec::new() }
}

#[test]
fn a_killed_import_leaves_nothing_half_visible_and_can_be_repeated() {
    let sandbox = Sandbox::with_repository();
    big(24).write(&sandbox.path("layout"));
    for events in [1, 2, 5, 20, 60] {
        let mut child = start(&sandbox, "killed", events);
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert!(names(&sandbox) <= 1);
        sandbox.store(["fsck"]).succeeds();
    }
    sandbox.store(import_args(&sandbox, "layout", "whole")).succeeds();
    sandbox.store(["gc"]).succeeds();
    sandbox.store(["fsck"]).succeeds();
    assert_eq!(litter(&sandbox), Vec::<String>::new());
    sandbox.store(["cat", "whole", "/usr/lib/os-release"]).succeeds();
}

#[test]
fn ctrl_c_cancels_with_its_own_exit_code_and_leaves_no_litter() {
    let sandbox = Sandbox::with_repository();
    big(48).write(&sandbox.path("layout"));
    let mut child = start(&sandbox, "cancelled", 2);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let status = child.wait().expect("wait");
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(&sandbox), 0);
    assert_eq!(litter(&sandbox), Vec::<String>::new());
    sandbox.store(import_args(&sandbox, "layout", "whole")).succeeds();
}

#[test]
fn two_imports_at_once_make_one_repository() {
    let sandbox = Sandbox::with_repository();
    big(8).write(&sandbox.path("layout"));
    let mut children: Vec<Child> =
        (0..3).map(|number| start(&sandbox, &format!("image-{number}"), 0)).collect();
    for child in &mut children {
        assert!(child.wait().expect("wait").success());
    }
    assert_eq!(names(&sandbox), 3);
    sandbox.store(["fsck"]).succeeds();
}

#[test]
fn a_gc_during_imports_takes_nothing_that_they_need() {
    let sandbox = Sandbox::with_repository();
    big(8).write(&sandbox.path("layout"));
    for round in 0..3 {
        let mut child = start(&sandbox, &format!("round-{round}"), 2);
        let gc = sandbox.store(["gc"]);
        assert!([0, 6].contains(&gc.code), "{gc:?}");
        assert!(child.wait().expect("wait").success());
        sandbox.store(["fsck"]).succeeds();
        sandbox.store(["rm", &format!("round-{round}")]).succeeds();
    }
}

#[test]
fn a_full_file_system_keeps_the_old_state_and_no_litter() {
    let disk = match LoopDisk::new(24) {
        Ok(disk) => disk,
        Err(why) => return skip("a_full_file_system_keeps_the_old_state_and_no_litter", &why),
    };
    let sandbox = Sandbox::new();
    let repository = disk.path().join("repo").display().to_string();
    let run = |args: &[&str]| sandbox.store([&["--repo", &repository], args].concat());
    run(&["init"]).succeeds();
    Image::bootable("6.1.0").write(&sandbox.path("small"));
    big(40).write(&sandbox.path("large"));
    run(&["import", "--name", "small", "oci:small"]).succeeds();
    let stderr = run(&["import", "--name", "large", "oci:large"]).fails(4);
    assert!(stderr.contains("space"), "{stderr}");
    let images = run(&["images", "--json"]).json();
    assert_eq!(images["images"].as_array().expect("images").len(), 1);
    run(&["fsck"]).succeeds();
    run(&["gc"]).succeeds();
    assert_eq!(listing(&disk.path().join("repo/sealstone/tmp")), Vec::<String>::new());
    run(&["import", "--name", "again", "oci:small"]).succeeds();
}

#[test]
fn a_read_only_file_system_can_be_read_and_refuses_writes() {
    let disk = match LoopDisk::new(24) {
        Ok(disk) => disk,
        Err(why) => return skip("a_read_only_file_system_can_be_read_and_refuses_writes", &why),
    };
    let sandbox = Sandbox::new();
    let repository = disk.path().join("repo").display().to_string();
    let run = |args: &[&str]| sandbox.store([&["--repo", &repository], args].concat());
    run(&["init"]).succeeds();
    Image::bootable("6.1.0").write(&sandbox.path("small"));
    run(&["import", "--name", "small", "oci:small"]).succeeds();
    disk.make_read_only().expect("remount");
    assert_eq!(run(&["cat", "small", "/etc/hostname"]).succeeds(), "example\n");
    run(&["images"]).succeeds();
    run(&["fsck"]).succeeds();
    for args in [&["import", "--name", "two", "oci:small"][..], &["rm", "small"]] {
        let stderr = run(args).fails(1);
        assert!(stderr.contains("read-only"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let sandbox = Sandbox::with_image(&big(2));
    for args in ["dump example", "ls -R example", "cat example /usr/share/noise-0"] {
        let store = env!("CARGO_BIN_EXE_store");
        let repository = sandbox.repository();
        let script = format!("{{ {store} {args}; echo $? >&2; }} | head -c 1 >/dev/null");
        let outcome = Outcome::of(Command::new("sh").args(["-c", &script]).env("SEALSTONE_REPO", repository));
        assert_eq!(outcome.stderr, "0\n", "{args}");
    }
}
