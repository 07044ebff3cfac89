//! What a machine changed in its `/etc` comes along to the next deployment, and what it did not is the new image's.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::fs;

use kit::{Layer, deployed::Deployed};
use serde_json::json;

fn etc(version: &str) -> Layer {
    Layer::new()
        .dir("etc/app")
        .file("etc/app/conf", format!("default of {version}\n").as_bytes())
        .file("etc/app/local", b"to be changed\n")
        .file("etc/issue", format!("welcome to {version}\n").as_bytes())
}

fn installed() -> Deployed {
    let machine = Deployed::new();
    machine.import("one", etc("one"));
    machine.import("two", etc("two").file("etc/new", b"new\n"));
    machine.deploy("one", &[]).succeeds();
    machine
}

#[test]
fn local_changes_are_carried_over_and_the_rest_is_the_new_image() {
    let machine = installed();
    machine.write("app/local", "changed here\n");
    machine.write("mine/deep/file", "mine\n");
    fs::remove_file(machine.etc("hostname")).unwrap();
    let plan = machine.plan("two", &[]);
    let changes = plan["etc"]["changes"].as_array().unwrap();
    let told: Vec<_> =
        changes.iter().map(|c| (c["path"].as_str().unwrap(), c["change"].as_str().unwrap())).collect();
    let expected = [
        ("/etc/app/local", "modified"),
        ("/etc/hostname", "removed"),
        ("/etc/mine", "added"),
        ("/etc/mine/deep", "added"),
        ("/etc/mine/deep/file", "added"),
    ];
    assert_eq!(told, expected);
    assert_eq!(plan["etc"]["conflicts"], json!([]));
    let old = machine.etc("");
    machine.deploy("two", &[]).succeeds();
    assert_eq!(machine.read("app/local"), "changed here\n");
    assert_eq!(machine.read("mine/deep/file"), "mine\n");
    assert_eq!(machine.read("issue"), "welcome to two\n");
    assert_eq!(machine.read("new"), "new\n");
    assert!(!machine.etc("hostname").exists());
    // The old deployment has its own.
    assert_eq!(fs::read_to_string(old.join("issue")).unwrap(), "welcome to one\n");
    assert!(!old.join("new").exists());
}

// bootc#2285 asks for it: which files of /etc both sides changed, and who wins.
#[test]
fn a_conflict_is_told_and_the_machine_wins_unless_it_is_said_otherwise() {
    let machine = installed();
    machine.write("app/conf", "mine\n");
    machine.write("issue", "my machine\n");
    let plan = machine.plan("two", &["--etc-strategy", "/etc/app=take-image"]);
    let conflict =
        |number: usize, key: &str| plan["etc"]["conflicts"][number][key].as_str().unwrap().to_owned();
    assert_eq!([conflict(0, "path"), conflict(0, "resolved")], ["/etc/app/conf", "take-image"]);
    assert_eq!([conflict(1, "path"), conflict(1, "resolved")], ["/etc/issue", "keep-local"]);
    let refused = machine.deploy("two", &["--etc-strategy", "fail"]).fails(1);
    assert!(refused.contains("/etc/app/conf, /etc/issue") && refused.contains("--etc-strategy"), "{refused}");
    assert_eq!(machine.deployments().len(), 1, "nothing was deployed");
    let said = machine.deploy("two", &["--etc-strategy", "/etc/app=take-image"]).succeeds();
    assert!(said.contains("/etc/issue") && said.contains("keep-local"), "{said}");
    assert_eq!([machine.read("app/conf"), machine.read("issue")], ["default of two\n", "my machine\n"]);
}

#[test]
fn a_folder_that_became_a_file_stops_the_update_and_the_old_system_stays() {
    let machine = installed();
    fs::remove_dir_all(machine.etc("app")).unwrap();
    machine.write("app", "now a file\n");
    let before = kit::sandbox::listing(&machine.sandbox.path("sysroot/state/deploy"));
    let refused = machine.deploy("two", &[]).fails(1);
    assert!(refused.contains("/etc/app"), "{refused}");
    assert_eq!(kit::sandbox::listing(&machine.sandbox.path("sysroot/state/deploy")), before);
    let shown = machine.deploy("two", &["--dry-run"]);
    assert_eq!(shown.code, 1, "a plan that is refused ends as doing it would");
    assert!(
        shown.stdout.contains("/etc/app") && shown.stdout.contains("would be refused: "),
        "{}",
        shown.stdout
    );
    let plan = machine.deploy("two", &["--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert!(plan["refused"].as_str().unwrap().contains("/etc/app"), "{plan}");
    machine.deploy("two", &["--etc-strategy", "/etc/app=keep-local"]).succeeds();
    assert_eq!(machine.read("app"), "now a file\n");
}

#[test]
fn changes_survive_three_updates_and_doing_one_again_changes_nothing() {
    let machine = installed();
    machine.import("three", etc("three"));
    machine.write("app/local", "changed here\n");
    for image in ["two", "three", "one"] {
        machine.deploy(image, &[]).succeeds();
        assert_eq!(machine.read("app/local"), "changed here\n");
        assert_eq!(machine.read("issue"), format!("welcome to {image}\n"));
        let again = machine.deploy(image, &["--json"]).json();
        assert_eq!(again["steps"], 0, "{again:#}");
    }
}

#[test]
fn a_transient_etc_takes_nothing_along_and_the_plan_says_so() {
    let machine = installed();
    let conf = b"[etc]\nmount = \"transient\"\n[var]\nmount = \"none\"\n";
    machine.import(
        "odd",
        etc("odd").dir("usr/lib/composefs").file("usr/lib/composefs/setup-root-conf.toml", conf),
    );
    machine.write("app/local", "changed here\n");
    let plan = machine.plan("odd", &["--hostname", "web"]);
    assert_eq!(plan["etc"]["mount"], "transient");
    assert_eq!(plan["etc"]["changes"], json!([]));
    assert_eq!(plan["etc"]["unused_overlays"], json!(["hostname"]));
    assert_eq!(plan["var"], json!({"mount": "none", "is_made": false}));
    let shown = machine.deploy("odd", &["--dry-run"]).succeeds();
    assert!(shown.contains("/etc is transient"), "{shown}");
    machine.deploy("odd", &[]).succeeds();
    assert_eq!(machine.read("app/local"), "to be changed\n");
}

#[test]
fn owners_modes_and_attributes_of_local_files_come_along() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let machine = installed();
    machine.write("mine", "secret\n");
    let before = machine.etc("mine");
    fs::set_permissions(&before, fs::Permissions::from_mode(0o4710)).unwrap();
    let root = kit::is_root();
    if root {
        chown(&before, Some(12), Some(34)).unwrap();
        fs::set_permissions(&before, fs::Permissions::from_mode(0o4710)).unwrap();
    } else {
        kit::skip("owners_modes_and_attributes_of_local_files_come_along", "owners need root");
    }
    let was = fs::metadata(&before).unwrap();
    machine.deploy("two", &[]).succeeds();
    let is = fs::metadata(machine.etc("mine")).unwrap();
    assert_eq!((is.mode(), is.mtime(), is.mtime_nsec()), (was.mode(), was.mtime(), was.mtime_nsec()));
    assert!(!root || (is.uid(), is.gid()) == (12, 34));
}
