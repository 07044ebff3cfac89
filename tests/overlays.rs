//! What a machine's owner lays on an image: at install, over updates, and away again.
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
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kit::{Layer, deployed::Deployed};
use serde_json::json;

fn machine() -> Deployed {
    let machine = Deployed::new();
    let etc = || Layer::new().symlink("root", "var/roothome").file("etc/motd", b"hello\n");
    machine.import("one", etc());
    machine.import("two", etc().file("etc/issue", b"two\n"));
    machine
}

fn write(machine: &Deployed, path: &str, text: &str) {
    let path = machine.sandbox.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn overlays(machine: &Deployed) -> Vec<String> {
    let overlays = machine.deployments()[0]["overlays"].as_array().cloned().unwrap_or_default();
    overlays.iter().map(|overlay| overlay["name"].as_str().unwrap().to_owned()).collect()
}

// bootc#190, #267, #531 ask for it: a file of the machine, such as /etc/fstab, the /etc of the system before, keys.
#[test]
fn everything_of_the_machine_is_there_after_the_install_and_after_an_update() {
    let machine = machine();
    write(&machine, "site/etc/app/conf", "of the site\n");
    write(&machine, "site/var/lib/app/seed", "seed\n");
    write(&machine, "keys", "ssh-ed25519 AAAA me\n");
    write(&machine, "fstab", "LABEL=data /data ext4 defaults 0 2\n");
    write(&machine, "token", "secret\n");
    fs::set_permissions(machine.sandbox.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let flags = [
        "--overlay",
        "site",
        "--authorized-keys",
        "keys",
        "--hostname",
        "web-1",
        "--fstab",
        "fstab",
        "--file",
        "/etc/app/token=token",
    ];
    let plan = machine.plan("one", &flags);
    assert_eq!(plan["var"], json!({"mount": "bind", "is_made": true}));
    machine.deploy("one", &flags).succeeds();
    let check = |machine: &Deployed| {
        assert_eq!(machine.read("app/conf"), "of the site\n");
        assert_eq!(machine.read("hostname"), "web-1\n");
        assert!(machine.read("fstab").starts_with("LABEL=data"));
        assert_eq!(machine.read("app/token"), "secret\n");
        assert_eq!(machine.etc("app/token").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        let keys = machine.read("tmpfiles.d/bootc-root-ssh.conf");
        assert!(keys.starts_with("f~ /var/roothome/.ssh/authorized_keys 600 root root - c3No"), "{keys}");
        assert_eq!(machine.read("motd"), "hello\n");
    };
    check(&machine);
    let var = machine.sandbox.path("sysroot/state/os/default/var/lib/app/seed");
    assert_eq!(fs::read_to_string(&var).unwrap(), "seed\n");
    // What they were made of is not needed any more.
    fs::remove_dir_all(machine.sandbox.path("site")).unwrap();
    fs::write(&var, "the machine's\n").unwrap();
    machine.deploy("two", &[]).succeeds();
    check(&machine);
    assert_eq!(machine.read("issue"), "two\n");
    assert_eq!(fs::read_to_string(&var).unwrap(), "the machine's\n", "/var is the machine's own");
    assert_eq!(overlays(&machine), ["site", "authorized-keys", "hostname", "fstab", "/etc/app/token"]);
    machine.store(&["gc"]).succeeds();
    machine.store(&["fsck"]).succeeds();
    machine.deploy("one", &[]).succeeds();
    check(&machine);
}

#[test]
fn a_dry_run_says_what_overlays_come_to_and_changes_nothing() {
    let machine = machine();
    write(&machine, "site/etc/app/conf", &"of the site\n".repeat(20));
    write(&machine, "site/var/lib/app/seed", "seed\n");
    let flags = ["--overlay", "site", "--hostname", "web-1"];
    let everything = || {
        let mut find = Command::new("find");
        find.current_dir(machine.sandbox.path("")).args(["-not", "-path", "./site*"]);
        let found = find.args(["-printf", "%p %i %y %m %s %T@ %C@\\n"]).output().unwrap().stdout;
        let mut lines: Vec<String> = String::from_utf8(found).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = everything();
    assert!(before.len() > 20);
    let plan = machine.plan("one", &flags);
    assert_eq!(everything(), before);
    machine.deploy("one", &flags).succeeds();
    assert_eq!(overlays(&machine), ["site", "hostname"]);
    assert_eq!(plan["deployment"]["overlays"], machine.deployments()[0]["overlays"]);
}

#[test]
fn an_overlay_is_removed_by_its_name_and_replaced_by_giving_it_again() {
    let machine = machine();
    machine.deploy("one", &["--hostname", "a", "--file", "/etc/motd=/dev/stdin"]).fails(2);
    write(&machine, "motd", "mine\n");
    machine.deploy("one", &["--hostname", "a", "--file", "/etc/motd=motd"]).succeeds();
    assert_eq!(machine.read("motd"), "mine\n");
    machine.deploy("two", &["--no-overlay", "/etc/motd", "--hostname", "b"]).succeeds();
    assert_eq!([machine.read("motd"), machine.read("hostname")], ["hello\n", "b\n"]);
    assert_eq!(overlays(&machine), ["hostname"]);
    machine.deploy("two", &["--no-overlay", "motd"]).fails(5);
}

#[test]
fn an_overlay_that_is_given_now_wins_over_what_the_machine_changed() {
    let machine = machine();
    machine.deploy("one", &[]).succeeds();
    machine.write("hostname", "changed-by-hand\n");
    let plan = machine.plan("one", &["--hostname", "new"]);
    assert_eq!(plan["etc"]["conflicts"][0]["resolved"], "take-image");
    machine.deploy("one", &["--hostname", "new"]).succeeds();
    assert_eq!(machine.read("hostname"), "new\n");
    // From here on it is as any other file: what is changed by hand stays.
    machine.write("hostname", "changed-again\n");
    machine.deploy("two", &[]).succeeds();
    assert_eq!(machine.read("hostname"), "changed-again\n");
}

#[test]
fn the_same_overlay_on_the_same_image_is_the_same_deployment() {
    let machine = machine();
    write(&machine, "site/etc/x", "x\n");
    machine.deploy("one", &["--overlay", "site"]).succeeds();
    let again = machine.deploy("one", &["--overlay", "site", "--json"]).json();
    assert_eq!(again["steps"], 0, "{again:#}");
    write(&machine, "site/etc/x", "y\n");
    machine.deploy("one", &["--overlay", "site"]).succeeds();
    assert_eq!((machine.deployments().len(), machine.read("x")), (2, "y\n".to_owned()));
}

#[test]
fn a_tar_and_another_systems_etc_are_taken() {
    let machine = machine();
    write(&machine, "host/ssh/ssh_host_key", "key\n");
    write(&machine, "host/machine-id", "0123\n");
    let tar = Layer::new().file("etc/from-tar", b"tar\n").whiteout("etc/motd").finish();
    fs::write(machine.sandbox.path("site.tar.gz"), kit::layout::gzip(&tar)).unwrap();
    machine.deploy("one", &["--copy-etc", "host", "--overlay", "site.tar.gz"]).succeeds();
    assert_eq!([machine.read("ssh/ssh_host_key"), machine.read("machine-id")], ["key\n", "0123\n"]);
    assert_eq!(machine.read("from-tar"), "tar\n");
    assert!(!machine.etc("motd").exists(), "a whiteout removes");
    assert_eq!(overlays(&machine), ["copy-etc", "site"]);
}

// bootc#303, #419, anaconda#6669: on a machine without SELinux the system was installed without labels, or with selinux=0.
#[test]
fn files_without_a_label_get_that_of_the_images_policy_and_local_labels_stay() {
    if !kit::is_root() {
        return kit::skip("files_without_a_label_get_that_of_the_images_policy", "labels need root");
    }
    let contexts = b"/etc(/.*)? u:r:etc_t:s0\n/etc/hostname -- u:r:hostname_t:s0\n/var(/.*)? u:r:var_t:s0\n";
    let policy = Layer::new()
        .file("etc/selinux/config", b"SELINUXTYPE=targeted\n")
        .file("etc/selinux/targeted/contexts/files/file_contexts", contexts);
    let machine = Deployed::new();
    machine.import("one", policy);
    write(&machine, "site/var/lib/x", "x\n");
    machine.deploy("one", &["--hostname", "web", "--overlay", "site"]).succeeds();
    let label = |path: &std::path::Path| {
        let mut value = [0; 64];
        let len = rustix::fs::lgetxattr(path, "security.selinux", &mut value[..]).expect("a label");
        String::from_utf8(value[..len].to_vec()).unwrap()
    };
    assert_eq!(label(&machine.etc("hostname")), "u:r:hostname_t:s0");
    let var = machine.sandbox.path("sysroot/state/os/default/var/lib/x");
    assert_eq!(label(&var), "u:r:var_t:s0");
    // A label of the machine's own is kept, and a file that has none gets one with the next deployment.
    machine.write("bare", "new\n");
    machine.write("mine", "mine\n");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(machine.etc("mine"), "security.selinux", b"u:r:mine_t:s0\0", flags)
        .expect("a label");
    machine.deploy("one", &["--hostname", "web-2"]).succeeds();
    assert_eq!(label(&machine.etc("bare")), "u:r:etc_t:s0");
    assert_eq!(label(&machine.etc("mine")), "u:r:mine_t:s0");
    assert_eq!(label(&machine.etc("hostname")), "u:r:hostname_t:s0");
}

#[test]
fn what_is_no_overlay_is_refused_before_anything_is_deployed() {
    let machine = machine();
    write(&machine, "bad/usr/bin/x", "x\n");
    write(&machine, "empty", "\n");
    for (flags, code) in [
        (["--overlay", "bad"], 2),
        (["--overlay", "nowhere"], 5),
        (["--hostname", "-x"], 2),
        (["--file", "/usr/x=empty"], 2),
        (["--file", "/etc/x"], 2),
        (["--authorized-keys", "empty"], 2),
        (["--fstab", "nowhere"], 5),
        (["--etc-strategy", "maybe"], 2),
    ] {
        let said = machine.deploy("one", &flags).fails(code);
        assert!(!said.is_empty(), "{flags:?}");
    }
    assert_eq!(machine.deployments().len(), 0);
}
