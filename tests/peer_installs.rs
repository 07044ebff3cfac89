//! Bugs of other installers of bootable containers that their users reported, as promises of ours. As in
//! `peer_regressions.rs`, each test names the report, and docs/proof.md lists them.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use kit::system::{System, field};
use kit::{Image, Outcome, Sandbox, has};
use serde_json::Value;

/// Empty folders `mnt` and `esp`, and an image as a layout `os`.
fn target(image: &Image) -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["mnt", "esp"] {
        fs::create_dir(sandbox.path(folder)).expect("a folder");
    }
    image.write(&sandbox.path("os"));
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    Outcome::of(sandbox.command(args).env_remove("SEALSTONE_REPO"))
}

const TO_FILESYSTEM: [&str; 7] = ["install", "to-filesystem", "--root", "mnt", "--esp", "esp", "oci:os"];

/// The kernel's command line in the one entry, without the image's id.
fn options(sandbox: &Sandbox) -> String {
    let entries = fs::read_dir(sandbox.path("esp/loader/entries")).expect("entries");
    let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let [path] = &paths[..] else { panic!("{paths:?}") };
    let options = field(&fs::read_to_string(path).expect("a text"), "options");
    let words = options.split(' ').filter(|word| !word.starts_with("composefs"));
    words.collect::<Vec<_>>().join(" ")
}

// #2304: `install to-filesystem` dropped `--karg` on its way to the boot entry, without a word. #163: so did the first
// version of it. #570: what the image's install configuration wants as arguments was not there either, while the same as flags
// was. #1229: nobody could take an argument of the image away.
#[test]
fn an_installation_brings_every_argument_into_the_boot_entry() {
    let install = "[install]\nkargs = ['console=tty0', 'console=ttyS0,115200n8']\n";
    let of_image = "kargs = ['quiet', 'rhgb', 'audit=0']\n";
    let files =
        [("usr/lib/bootc/install/10.toml", install), ("usr/lib/bootc/kargs.d/10-quiet.toml", of_image)];
    let asked =
        ["--karg", "console=ttyS1,115200", "--karg=rd.luks.uuid=1", "--root-mount-spec", "UUID=ab-cd"];
    let deleted = ["--karg-delete", "rhgb", "--karg-delete", "audit=0"];
    let sandbox = target(&System::image("1", &files));
    let done = run(&sandbox, &[&TO_FILESYSTEM[..], &asked, &deleted, &["--json"]].concat()).json();
    let expected =
        "console=tty0 console=ttyS0,115200n8 quiet root=UUID=ab-cd rw console=ttyS1,115200 rd.luks.uuid=1";
    assert_eq!(options(&sandbox), expected);
    // What is told is what is written, and where it comes from.
    let told = |key: &str| -> Vec<String> {
        let kargs = done["deployment"]["kargs"].as_array().expect("arguments").iter();
        kargs.map(|karg| karg[key].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(told("karg").join(" "), expected);
    assert_eq!(told("origin")[..3], ["install", "install", "image"]);
    // The same onto a disk.
    let flags = ["--esp-size", "260M", "--image-size", "500M", "--target-ref", "docker://example.org/os:1"];
    let to_disk = ["install", "to-disk", "disk", "oci:os", "--json"];
    let disk = run(&sandbox, &[&to_disk[..], &flags, &asked, &deleted].concat()).json();
    let kargs = disk["deployment"]["kargs"].as_array().expect("arguments").iter();
    assert_eq!(
        kargs.map(|karg| karg["karg"].as_str().expect("a text")).collect::<Vec<_>>().join(" "),
        expected
    );
}

// #1795: the place that updates follow was told as what was installed. bcvk#307: an installation by way of a container storage
// told another digest than the registry's.
#[test]
fn what_was_installed_is_told_by_its_own_digest_beside_the_place_that_updates_follow() {
    let image = System::image("1", &[]);
    let sandbox = target(&image);
    let manifest = image.write(&sandbox.path("os"));
    let follows = "docker://images.example.com/rhel-bootc:latest-10.1";
    run(&sandbox, &[&TO_FILESYSTEM[..], &["--target-ref", follows]].concat()).succeeds();
    let status = |format: &[&str]| -> Value {
        run(&sandbox, &[&["status", "--sysroot", "mnt", "--esp", "esp"], format].concat()).json()
    };
    let own = status(&["--json"]);
    let deployment = &own["deployments"][0];
    assert_eq!(deployment["image"]["reference"], follows);
    assert_eq!(deployment["image"]["manifest"], manifest.as_str());
    assert_eq!(
        (&deployment["os"]["title"], &deployment["os"]["version"]),
        (&"Example 1".into(), &"1".into())
    );
    let host = status(&["--format", "bootc"]);
    let entry = &host["status"]["otherDeployments"][0]["image"];
    assert_eq!(entry["imageDigest"], manifest.as_str(), "{host:#}");
}

/// The paths that a traced command opened or asked for, and what it executed.
fn traced(sandbox: &Sandbox, args: &[&str]) -> (BTreeSet<String>, Vec<String>) {
    let log = sandbox.path("trace");
    let plain = sandbox.command([""; 0]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "4096", "-e", "trace=%file,execve", "-o"]).arg(&log);
    command.arg(plain.get_program()).args(args).current_dir(sandbox.path(".")).env("HOME", sandbox.path("."));
    let output = command.env_remove("SEALSTONE_REPO").output().expect("strace starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(log).expect("a trace");
    let absolute =
        |line: &str| line.split('"').nth(1).filter(|path| path.starts_with('/')).map(str::to_owned);
    let runs = text.lines().filter(|line| line.contains("execve(")).map(str::to_owned).collect();
    (text.lines().filter_map(absolute).collect(), runs)
}

// #879, #1410, #1438, #1455, #1559, #1778: an installer that is run outside of the image took install configuration, policy,
// boot loader and the tool that installs that from the machine that it ran on. CVE-2026-54422: what the image brings was run as
// root to install it.
#[test]
fn an_installation_asks_the_image_and_not_the_machine_and_runs_nothing_of_either() {
    let test = "an_installation_asks_the_image_and_not_the_machine_and_runs_nothing_of_either";
    if !has("strace", test) {
        return;
    }
    let program = "a boot loader";
    let files = [
        ("usr/lib/systemd/boot/efi/systemd-bootx64.efi", program),
        ("usr/lib/bootc/install/10.toml", "[install]\nkargs = ['of=image']\n"),
        ("usr/lib/bootc/kargs.d/10.toml", "kargs = ['quiet']\n"),
        ("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n"),
        ("etc/selinux/targeted/contexts/files/file_contexts", "/.* u:r:default_t:s0\n"),
    ];
    let sandbox = target(&System::image("1", &files));
    let (paths, runs) = traced(&sandbox, &TO_FILESYSTEM);
    assert!(options(&sandbox).contains("of=image quiet"), "{}", options(&sandbox));
    let own = sandbox.path(".").display().to_string();
    // Folders of systems that are told by their paths: those of the image are read out of its own tree.
    let of_systems = [
        "/usr/lib/bootc",
        "/usr/local/lib/bootc",
        "/etc/bootc",
        "/run/bootc",
        "/usr/lib/bootupd",
        "/usr/lib/systemd",
        "/usr/lib/ostree",
        "/etc/ostree",
        "/usr/lib/composefs",
        "/etc/selinux",
        "/sys/fs/selinux",
        "/usr/lib/modules",
        "/usr/lib/os-release",
        "/etc/os-release",
        "/boot",
        "/efi",
        "/usr/lib/grub-cc",
    ];
    let of_machine: Vec<&String> = paths
        .iter()
        .filter(|path| !path.starts_with(own.trim_end_matches("/.")))
        .filter(|path| of_systems.iter().any(|place| path.starts_with(place)))
        .collect();
    assert_eq!(of_machine, Vec::<&String>::new());
    assert_eq!(runs.len(), 1, "only the command itself: {runs:#?}");
}

// #2399: a machine with a boot partition of its own had an old folder `/boot` on its root, which was read in the partition's
// place: status failed, and updates went astray.
#[test]
fn an_old_folder_of_boot_files_on_the_root_is_not_taken_for_the_boot_partition() {
    let system = System::new();
    for version in ["1", "2"] {
        system.import(version, &System::image(version, &[]));
        system.store(["deploy", version]).succeeds();
    }
    // All but how much room there is.
    let seen = || {
        let status = system.status();
        ["deployments", "next", "unadopted", "broken_records", "foreign_states"]
            .map(|key| status[key].clone())
    };
    let before = seen();
    // What the installation left there: an entry of each kind, one of which names a deployment that is there.
    let stale = system.menu()[1].1.replace("Example 1", "An old one");
    system.write("mnt/boot/loader/entries/bootc_example-1-0.conf", &stale);
    system.write("mnt/boot/loader/entries/bootc_example-0-1.conf", "title Older\nlinux /vmlinuz\n");
    system.write("mnt/boot/EFI/Linux/bootc_composefs-00/vmlinuz", "a kernel");
    assert_eq!(seen(), before);
    assert_eq!(system.store(["status"]).code, 0);
    system.store(["rollback"]).succeeds();
    system.import("3", &System::image("3", &[]));
    system.store(["deploy", "3", "--keep", "2"]).succeeds();
    system.store(["prune", "--keep", "1"]).succeeds();
    assert_eq!(system.store(["reconcile"]).succeeds().lines().next(), Some("nothing to do"));
    assert_eq!(field(&system.menu()[0].1, "version"), "3");
    assert_eq!(system.names("mnt/boot/loader/entries").len(), 2, "nobody's to change");
    assert_eq!(system.read("mnt/boot/loader/entries/bootc_example-1-0.conf"), stale);
}

// Ironic's bootc interface makes a root of the disk less 768 MiB, whatever lies before it: with a boot partition of 1 GiB, or
// with LUKS, it does not fit (computed of its code). Room at the end is what is asked for here.
#[test]
fn room_that_is_wanted_at_the_end_of_a_disk_is_kept_whatever_lies_before_it() {
    let sandbox = target(&System::image("1", &[]));
    for (name, esp) in [("small", "260M"), ("large", "1G")] {
        let to_disk =
            ["install", "to-disk", name, "oci:os", "--target-ref", "docker://example.org/os:1", "--json"];
        let sizes = ["--esp-size", esp, "--image-size", "3G", "--reserve-tail", "768M"];
        let done = run(&sandbox, &[&to_disk[..], &sizes].concat()).json();
        let number = |part: &str, key: &str| done["disk"][part][key].as_u64().expect("bytes");
        let end = number("root", "start") + number("root", "size");
        assert!((3_u64 << 30) - end >= 768 << 20, "{esp}: {done:#}");
        assert!(number("root", "start") >= number("esp", "start") + number("esp", "size"));
        assert_eq!(done["deployment"]["health"]["is"], "good");
        fs::remove_file(sandbox.path(name)).expect("a disk");
    }
}
