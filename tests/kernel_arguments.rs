//! Kernel arguments from one end to the other: what the image's files say, what the command changes, and what is in the boot
//! entry after it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::system::System;
use serde_json::json;

const KARGS: &str = "usr/lib/bootc/kargs.d";
const INSTALL: &str = "usr/lib/bootc/install";

/// A system with an image that wants `kargs` installed, and more files in it.
fn installed(kargs: &str, more: &[(&str, &str)], options: &[&str]) -> System {
    let system = System::new();
    let file = format!("{KARGS}/10-example.toml");
    let files = [&[(file.as_str(), kargs)], more].concat();
    system.import("one", &System::image("1", &files));
    system.store([&["deploy", "one"], options].concat()).succeeds();
    system
}

/// Deploys another version, that wants `kargs`.
fn update(system: &System, version: &str, kargs: &str) {
    system.import(version, &System::image(version, &[(&format!("{KARGS}/10-example.toml"), kargs)]));
    system.store(["deploy", version]).succeeds();
}

#[test]
fn arguments_come_in_bootcs_order_with_deletions_and_filters() {
    let more = [
        (
            &*format!("{INSTALL}/00-base.toml"),
            "[install]\nkargs = ['audit=0', 'ro']\nkarg-deletes = ['rhgb']\n",
        ),
        (&*format!("{KARGS}/20-other.toml"), "kargs = ['never']\nmatch-architectures = ['sparc64']\n"),
    ];
    let options = ["--karg", "root=UUID=1", "--karg-delete", "console=tty1", "--karg-delete", "ro"];
    let system = installed("kargs = ['console=tty0 console=tty1', 'quiet', 'rhgb']\n", &more, &options);
    assert_eq!(system.default_options(), "audit=0 console=tty0 quiet root=UUID=1");
    let listed = system.store(["kargs", "list", "--json"]).json();
    assert_eq!(
        listed["kargs"],
        json!([
            {"karg": "audit=0", "origin": "install", "file": format!("/{INSTALL}/00-base.toml")},
            {"karg": "console=tty0", "origin": "image", "file": format!("/{KARGS}/10-example.toml")},
            {"karg": "quiet", "origin": "image", "file": format!("/{KARGS}/10-example.toml")},
            {"karg": "root=UUID=1", "origin": "caller"},
        ])
    );
    assert_eq!(listed["deleted"], json!(["rhgb", "console=tty1", "ro"]));
}

// bootc#899 asks for arguments of the machine that updates keep.
#[test]
fn an_update_replaces_the_images_arguments_and_keeps_all_others() {
    let more = [(&*format!("{INSTALL}/00-base.toml"), "[install]\nkargs = ['audit=0']\n")];
    let system = installed("kargs = ['quiet', 'splash', 'old']\n", &more, &["--karg", "root=UUID=1"]);
    system.store(["kargs", "--source", "tuned", "set", "isolcpus=2-3"]).succeeds();
    system.store(["kargs", "unset", "splash"]).succeeds();
    assert_eq!(system.default_options(), "audit=0 quiet old root=UUID=1 isolcpus=2-3");
    update(&system, "2", "kargs = ['new', 'splash', 'quiet']\n");
    assert_eq!(system.default_options(), "audit=0 new quiet root=UUID=1 isolcpus=2-3");
    update(&system, "3", "kargs = []\n");
    assert_eq!(system.default_options(), "audit=0 root=UUID=1 isolcpus=2-3");
    assert_eq!(system.store(["deploy", "3", "--dry-run"]).succeeds(), "nothing to do\n");
}

#[test]
fn a_change_is_made_in_place_and_leaves_the_other_entries_alone() {
    let system = installed("kargs = ['quiet']\n", &[], &["--karg", "root=UUID=1"]);
    update(&system, "2", "kargs = ['quiet']\n");
    let before = system.menu();
    let plan = system.store(["kargs", "set", "console=ttyS0", "--dry-run", "--json"]).json();
    assert_eq!(plan["kargs"]["before"], json!(["quiet", "root=UUID=1"]));
    assert_eq!(plan["kargs"]["after"], json!(["quiet", "root=UUID=1", "console=ttyS0"]));
    assert_eq!(system.menu(), before, "a dry run changes nothing");

    system.store(["kargs", "set", "console=ttyS0"]).succeeds();
    let after = system.menu();
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], before[1]);
    assert_eq!(after[0].0, before[0].0);
    assert_eq!(system.default_options(), "quiet root=UUID=1 console=ttyS0");
    assert_eq!(system.names("mnt/state/deploy").len(), 2, "no deployment more");

    let again = system.store(["kargs", "set", "console=ttyS0", "--json"]).json();
    assert_eq!(again["steps"], 0);
    system.store(["kargs", "set", "console=hvc0", "console=tty0"]).succeeds();
    assert_eq!(system.default_options(), "quiet root=UUID=1 console=hvc0 console=tty0");
    assert_eq!(system.store(["status"]).code, 0);
}

// bootc#899 asks for it: several tools of a machine, each with its own arguments.
#[test]
fn a_source_sees_and_changes_its_own_arguments_alone() {
    let system = installed("kargs = ['quiet']\n", &[], &[]);
    system.store(["kargs", "set", "mine=1"]).succeeds();
    system.store(["kargs", "--source", "tuned", "set", "a=1", "b"]).succeeds();
    system.store(["kargs", "--source", "tuned", "unset", "quiet", "mine", "b"]).succeeds();
    assert_eq!(system.default_options(), "quiet mine=1 a=1");
    let own = system.store(["kargs", "--source", "tuned", "list", "--json"]).json();
    assert_eq!(own["kargs"], json!([{"karg": "a=1", "origin": "source", "name": "tuned"}]));
    system.store(["kargs", "--source", "tuned", "unset", "--all"]).succeeds();
    assert_eq!(system.default_options(), "quiet mine=1");
    let text = system.store(["kargs"]).succeeds();
    assert!(text.contains("mine=1") && text.contains("10-example.toml"), "{text}");
}

#[test]
fn what_an_image_has_wrong_is_told_with_file_and_line() {
    let system = System::new();
    let file = format!("{KARGS}/10-example.toml");
    system.import("broken", &System::image("1", &[(&file, "# fine\nkargs = 'quiet'\n")]));
    let error = system.store(["deploy", "broken"]).fails(3);
    assert!(error.contains(&format!("/{file}: line 2: kargs is string")), "{error}");
    assert_eq!(system.names("mnt/state"), Vec::<String>::new(), "nothing was made");

    system.import("odd", &System::image("1", &[(&file, "kargs = ['quiet']\nwhen = 'always'\n")]));
    let plan = system.store(["deploy", "odd", "--dry-run", "--json"]).json();
    let warning = format!("/{file}: line 2: the key \"when\" is unknown, and ignored");
    assert_eq!(plan["warnings"], json!([warning]));
    let text = system.store(["deploy", "odd"]).succeeds();
    let told = text.lines().find(|line| line.starts_with("warning:")).expect("a warning");
    assert!(told.contains(&format!("/{file}: line 2")), "{told}");
    assert_eq!(system.default_options(), "quiet");
}

#[test]
fn the_arguments_that_name_the_image_are_nobodys_to_set() {
    let system = installed("kargs = ['quiet']\n", &[], &[]);
    for args in [
        ["kargs", "set", "composefs=ab"],
        ["kargs", "unset", "composefs"],
        ["deploy", "one", "--karg=composefs=ab"],
    ] {
        let error = system.store(args).fails(2);
        assert!(error.contains("it names the image"), "{error}");
    }
    system.store(["kargs", "--source", "a b", "list"]).fails(2);
    let empty = System::new();
    empty.store(["kargs", "set", "a"]).fails(5);
}
