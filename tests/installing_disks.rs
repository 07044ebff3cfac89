//! Installing into disk images: plain files, without root, that other tools find whole and that are the same each time.
//!
//! Oracles: sfdisk reads the partition table, fsck.vfat and mtools the boot partition, e2fsck and debugfs the root,
//! qemu-img the qcow2.
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
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kit::system::{System, field};
use kit::{Outcome, Sandbox};
use serde_json::Value;

/// A fixed seed and time.
const FIXED: [&str; 4] = ["--seed", "test", "--time", "1700000000"];

/// As small as a disk can be.
const SMALL: [&str; 4] = ["--esp-size", "260M", "--image-size", "500M"];

struct Disks {
    sandbox: Sandbox,
}

impl Disks {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        System::image("1", &[("etc/motd", "hello\n")]).write(&sandbox.path("os"));
        Self { sandbox }
    }

    fn install(&self, disk: &str, more: &[&str]) -> Outcome {
        let args = ["install", "to-disk", disk, "oci:os", "--target-ref", "docker://example.org/os:1"];
        Outcome::of(self.sandbox.command([&args[..], more].concat()).env_remove("SEALSTONE_REPO"))
    }

    fn made(&self, disk: &str, more: &[&str]) -> Value {
        self.install(disk, &[more, &["--json"]].concat()).json()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Cuts a partition out, by its place in the answer.
    fn cut(&self, disk: &str, document: &Value, part: &str) -> PathBuf {
        let number =
            |key: &str| usize::try_from(document["disk"][part][key].as_u64().expect("bytes")).expect("fits");
        let bytes = fs::read(self.path(disk)).expect("a disk");
        let path = self.path(part);
        fs::write(&path, &bytes[number("start")..number("start") + number("size")]).expect("a partition");
        path
    }
}

/// What a tool answers, if it is there.
#[track_caller]
fn tool(program: &str, args: &[&str]) -> Option<String> {
    kit::tools::tool(Path::new("."), program, args)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

// bootc#859, bootc-image-builder#1184: without root, or a virtual machine, no disk could be made.
#[test]
fn every_part_of_a_disk_image_is_whole_for_the_tools_that_know_it() {
    for sector in ["512", "4096"] {
        let disks = Disks::new();
        let more =
            ["--esp-size", "260M", "--image-size", "700M", "--reserve-tail", "64M", "--sector-size", sector];
        let document = disks.made("disk", &[&more[..], &FIXED].concat());
        assert_eq!(document["verity"], "offline");
        assert_eq!(fs::metadata(disks.path("disk")).expect("a disk").len(), 700 << 20);
        let root = &document["disk"]["root"];
        let end = root["start"].as_u64().expect("bytes") + root["size"].as_u64().expect("bytes");
        assert!(end + (64 << 20) <= 700 << 20, "{document:#}");
        if sector == "512"
            && let Some(found) = tool("sfdisk", &["--verify", text(&disks.path("disk"))])
        {
            assert!(found.contains("No errors detected"), "{found}");
            let dump = tool("sfdisk", &["--dump", text(&disks.path("disk"))]).expect("sfdisk");
            assert!(dump.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), "{dump}");
            assert!(dump.contains("name=\"root\"") && dump.contains("GUID:59"), "{dump}");
        }
        let esp = disks.cut("disk", &document, "esp");
        tool("fsck.vfat", &["-n", text(&esp)]);
        let root = disks.cut("disk", &document, "root");
        tool("e2fsck", &["-fn", text(&root)]);
    }
}

#[test]
fn the_boot_partition_and_the_root_hold_the_installed_system() {
    let disks = Disks::new();
    let document = disks.made(
        "disk",
        &[&["--esp-size", "260M", "--image-size", "500M", "--hostname", "web-1"][..], &FIXED].concat(),
    );
    let id = document["deployment"]["id"].as_str().expect("an id");
    let esp = disks.cut("disk", &document, "esp");
    if let Some(listed) = tool("mdir", &["-b", "-i", text(&esp), "::/loader/entries"]) {
        let entry = listed
            .lines()
            .find(|line| std::path::Path::new(line).extension().is_some_and(|end| end == "conf"))
            .expect("an entry");
        let entry = tool("mtype", &["-i", text(&esp), entry]).expect("mtools");
        let uuid = document["disk"]["root_uuid"].as_str().expect("a UUID");
        let options = field(&entry, "options");
        assert!(options.contains(&format!("root=UUID={uuid} rw composefs={id}")), "{options}");
    }
    let root = disks.cut("disk", &document, "root");
    let debugfs = |request: String| tool("debugfs", &["-R", &request, text(&root)]);
    let Some(meta) = debugfs("stat /composefs/meta.json".into()) else { return };
    assert!(meta.contains("Flags: 0x180000"), "{meta}");
    let host = debugfs(format!("cat /state/deploy/{id}/etc/hostname")).expect("debugfs");
    assert!(host.contains("web-1"), "{host}");
    let etc = debugfs(format!("stat /state/deploy/{id}/etc/motd")).expect("debugfs");
    assert!(etc.contains("User:     0   Group:     0"), "{etc}");
    // Each object is sealed: as many as there are, with meta.json.
    let folders = debugfs("ls -p /composefs/objects".into()).expect("debugfs");
    let mut objects = 0;
    for line in folders.lines().filter(|line| line.starts_with('/')) {
        let name = line.split('/').nth(5).unwrap_or_default();
        if name.len() == 2 && name != ".." {
            let names = debugfs(format!("ls -p /composefs/objects/{name}")).expect("debugfs");
            objects += names
                .lines()
                .filter(|line| line.split('/').nth(5).is_some_and(|name| name.len() > 2))
                .count();
        }
    }
    assert_eq!(document["disk"]["sealed"].as_u64().expect("a count"), objects as u64 + 1);
}

#[test]
fn equal_seeds_and_times_give_equal_disks_and_others_do_not() {
    let disks = Disks::new();
    let size = ["--esp-size", "260M", "--image-size", "500M"];
    disks.made("one", &[&size[..], &FIXED].concat());
    disks.made("two", &[&size[..], &FIXED].concat());
    disks.made("three", &[&size[..], &["--time", "1700000000"]].concat());
    let read = |name: &str| fs::read(disks.path(name)).expect("a disk");
    let one = read("one");
    assert!(one == read("two"), "two disks of one seed differ");
    assert!(one != read("three"), "a random seed is not random");
}

#[test]
fn a_qcow2_holds_the_bytes_of_the_raw_disk() {
    let disks = Disks::new();
    let size = ["--esp-size", "260M", "--image-size", "600M"];
    disks.made("raw", &[&size[..], &FIXED].concat());
    disks.made("qcow2", &[&size[..], &FIXED, &["--format", "qcow2"]].concat());
    let raw = fs::read(disks.path("raw")).expect("a disk");
    let packed = fs::metadata(disks.path("qcow2")).expect("a file").len();
    assert!(packed < raw.len() as u64 / 4, "{packed}");
    if let Some(found) = tool("qemu-img", &["check", text(&disks.path("qcow2"))]) {
        assert!(found.contains("No errors were found"), "{found}");
        let (from, to) = (disks.path("qcow2"), disks.path("unpacked"));
        tool("qemu-img", &["convert", "-O", "raw", text(&from), text(&to)]);
        assert!(fs::read(to).expect("a disk") == raw);
    }
}

#[test]
fn a_raw_disk_is_sparse_and_nothing_of_its_making_stays() {
    use std::os::unix::fs::MetadataExt;
    let disks = Disks::new();
    disks.made("disk", &["--image-size", "20G"]);
    let metadata = fs::metadata(disks.path("disk")).expect("a disk");
    assert_eq!(metadata.len(), 20 << 30);
    assert!(metadata.blocks() * 512 < 64 << 20, "{}", metadata.blocks() * 512);
    let names: Vec<_> =
        fs::read_dir(disks.path(".")).expect("a folder").map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}

#[test]
fn what_is_in_the_disks_place_is_named_and_stays_without_wipe() {
    let disks = Disks::new();
    disks.made("disk", &SMALL);
    let before = fs::read(disks.path("disk")).expect("a disk");
    let planned = disks.made("disk", &["--dry-run"]);
    let destroys = planned["target"]["destroys"][0].as_str().expect("a text");
    assert!(destroys.contains("GPT partition table with 2 partitions (esp, root)"), "{destroys}");
    let refused = disks.install("disk", &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("(esp, root)") && refused.stderr.contains("--wipe"),
        "{}",
        refused.stderr
    );
    assert!(fs::read(disks.path("disk")).expect("a disk") == before);
    fs::write(disks.path("letter"), "dear all").expect("a file");
    let refused = disks.install("letter", &[]);
    assert!(refused.code == 1 && refused.stderr.contains("8 bytes of something"), "{}", refused.stderr);
    disks.made("disk", &[&["--wipe"][..], &SMALL].concat());
    // An empty file says how large the disk shall be.
    fs::File::create(disks.path("empty")).and_then(|file| file.set_len(3 << 30)).expect("a file");
    assert_eq!(disks.made("empty", &[])["disk"]["size"], 3u64 << 30);
}

#[test]
fn a_disk_that_is_too_small_or_an_image_that_cannot_boot_leaves_nothing() {
    let disks = Disks::new();
    let small = disks.install("disk", &["--image-size", "300M", "--esp-size", "260M"]);
    assert_eq!(small.code, 4, "{}", small.stderr);
    kit::Image::new().layer(kit::Layer::new().file("usr/bin/x", b"x")).write(&disks.path("os"));
    let outcome = disks.install("disk", &[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let names: Vec<_> =
        fs::read_dir(disks.path(".")).expect("a folder").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["os"]);
}

#[test]
fn a_killed_run_leaves_no_disk_or_a_whole_one_and_the_next_one_makes_it() {
    let disks = Disks::new();
    let fixed = [&SMALL[..], &FIXED].concat();
    let mut early = None;
    for millis in [20, 100, 250, 500] {
        let args = ["install", "to-disk", "disk", "oci:os", "--target-ref", "docker://example.org/os:1"];
        let mut child = disks
            .sandbox
            .command([&args[..], &fixed].concat())
            .env_remove("SEALSTONE_REPO")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().expect("a child");
        child.wait().expect("a child");
        if disks.path("disk").exists() {
            early = Some(fs::read(disks.path("disk")).expect("a disk"));
            break;
        }
    }
    let wipe: &[&str] = if early.is_some() { &["--wipe"] } else { &[] };
    let document = disks.made("disk", &[wipe, &fixed].concat());
    let root = disks.cut("disk", &document, "root");
    tool("e2fsck", &["-fn", text(&root)]);
    // Equal seeds and times give equal disks: one that was there at the kill has to be all of it.
    let made = fs::read(disks.path("disk")).expect("a disk");
    assert!(early.is_none_or(|early| early == made), "half a disk has the name");
}
