//! Installing onto block devices: loop devices here, which needs root. Without it, or without loop devices, the tests say so.
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
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kit::layer::noise;
use kit::loop_disk::LoopDevice;
use kit::memory_group::MemoryGroup;
use kit::system::System;
use kit::tools::tool;
use kit::{Layer, Outcome, Sandbox, skip};

/// A disk of 3 GiB as a loop device, and an image to install.
struct Device {
    device: LoopDevice,
    sandbox: Sandbox,
}

impl Device {
    fn new(test: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        System::image("1", &[]).write(&sandbox.path("os"));
        fs::File::create(sandbox.path("disk")).and_then(|file| file.set_len(3 << 30)).expect("a file");
        Some(Self { device: LoopDevice::of(&sandbox.path("disk"), &[], test)?, sandbox })
    }

    fn command(&self, more: &[&str]) -> Command {
        let args = ["install", "to-disk", &self.device.path, "oci:os", "--esp-size", "260M"];
        let mut command = self.sandbox.command([&args[..], more].concat());
        command.env_remove("SEALSTONE_REPO");
        command
    }

    fn install(&self, more: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(more))
    }

    /// The bytes of the disk, from an offset on.
    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; len];
        let file = fs::File::open(self.sandbox.path("disk")).expect("a disk");
        file.read_exact_at(&mut bytes, at).expect("bytes");
        bytes
    }

    fn has_table(&self) -> bool {
        self.read(512, 8) == b"EFI PART"
    }

    /// Cuts a partition out.
    fn cut(&self, part: &serde_json::Value) -> String {
        let number = |key: &str| part[key].as_u64().expect("bytes");
        let path = self.sandbox.path("part");
        fs::write(&path, self.read(number("start"), usize::try_from(number("size")).expect("fits")))
            .expect("a file");
        path.display().to_string()
    }
}

#[track_caller]
fn succeeds(program: &str, args: &[&str]) -> String {
    tool(Path::new("."), program, args).expect(program)
}

#[test]
fn a_device_is_partitioned_and_installed_in_place_with_each_file_system() {
    for (filesystem, check) in [("ext4", "e2fsck"), ("btrfs", "btrfs"), ("xfs", "xfs_repair")] {
        let Some(device) = Device::new("a_device_is_partitioned_and_installed_in_place") else { return };
        let document = device.install(&["--filesystem", filesystem, "--json"]).json();
        assert_eq!(document["disk"]["filesystem"], filesystem);
        assert!(device.has_table());
        let esp = device.cut(&document["disk"]["esp"]);
        succeeds("fsck.vfat", &["-n", &esp]);
        let entries = succeeds("mdir", &["-b", "-i", &esp, "::/loader/entries"]);
        assert_eq!(
            entries
                .lines()
                .filter(|line| Path::new(line).extension().is_some_and(|end| end == "conf"))
                .count(),
            1,
            "{entries}"
        );
        let root = device.cut(&document["disk"]["root"]);
        let args: &[&str] = match check {
            "e2fsck" => &["-fn"],
            "btrfs" => &["check", "--readonly", "--force"],
            _ => &["-n", "-f"],
        };
        succeeds(check, &[args, &[&root]].concat());
        if filesystem == "xfs" {
            assert_eq!(document["deployment"]["image"]["verity"], "optional");
        }
    }
}

#[test]
fn what_is_on_a_device_is_named_and_stays_without_wipe() {
    let Some(device) = Device::new("what_is_on_a_device_is_named_and_stays") else { return };
    succeeds("mkfs.ext4", &["-q", "-F", &device.device.path]);
    let before = device.read(0, 1 << 20);
    let refused = device.install(&[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("an ext2, ext3 or ext4 file system"), "{}", refused.stderr);
    assert!(device.read(0, 1 << 20) == before);
    device.install(&["--wipe"]).succeeds();
    let planned = device.install(&["--dry-run", "--json"]).json();
    let destroys = planned["target"]["destroys"][0].as_str().expect("a text");
    assert!(destroys.contains("2 partitions (esp, root)"), "{destroys}");
}

#[test]
fn a_device_that_is_mounted_is_busy_even_with_wipe() {
    let Some(device) = Device::new("a_device_that_is_mounted_is_busy") else { return };
    succeeds("mkfs.ext4", &["-q", "-F", &device.device.path]);
    let folder = device.sandbox.path("mounted").display().to_string();
    fs::create_dir(&folder).expect("a folder");
    succeeds("mount", &[&device.device.path, &folder]);
    let refused = device.install(&["--wipe"]);
    succeeds("umount", &[&folder]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
}

#[test]
fn a_killed_installation_leaves_nothing_that_boots_and_is_run_again() {
    let Some(device) = Device::new("a_killed_installation_leaves_nothing_that_boots") else { return };
    device.install(&[]).succeeds();
    for (number, millis) in [30, 150, 400, 800].into_iter().enumerate() {
        // The first run goes over a whole system; the others over what the one before left.
        let wipe: &[&str] = if device.has_table() { &["--wipe"] } else { &[] };
        let mut child =
            device.command(wipe).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(millis));
        let ended = child.try_wait().expect("a child").is_some();
        let _ = child.kill();
        child.wait().expect("a child");
        // Either nothing was changed yet, or nothing is there to boot, or it was done.
        assert!(ended || number == 0 || !device.has_table(), "killed after {millis} ms");
    }
    let wipe: &[&str] = if device.has_table() { &["--wipe"] } else { &[] };
    device.install(wipe).succeeds();
    assert!(device.has_table());
}

#[test]
fn an_image_of_five_times_the_memory_goes_onto_a_device_and_is_staged_nowhere() {
    let test = "an_image_of_five_times_the_memory_goes_onto_a_device_and_is_staged_nowhere";
    // With the page cache, of which the kernel lets go, and mkfs.
    let group = match MemoryGroup::of(64 << 20) {
        Ok(group) => group,
        Err(why) => return skip(test, &why),
    };
    let Some(device) = Device::new(test) else { return };
    let files = |seed: u64| {
        let layer = Layer::new().file(&format!("usr/one-{seed}"), &noise(80 << 20, seed));
        layer.file(&format!("usr/two-{seed}"), &noise(80 << 20, seed + 1))
    };
    System::image("1", &[]).layer(files(1)).layer(files(3)).write(&device.sandbox.path("os"));
    let names = || {
        let entries = fs::read_dir(device.sandbox.path(".")).unwrap().flatten();
        entries.map(|entry| entry.file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    Outcome::of(&mut group.run(&device.command(&[]))).succeeds();
    assert!(device.has_table());
    assert_eq!(names(), before);
    assert!(group.peak() <= 64 << 20 && group.peak() > 8 << 20, "{} bytes", group.peak());
}
