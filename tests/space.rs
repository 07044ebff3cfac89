//! The space that an import needs is looked at before anything is written, and a reserve is left alone.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::layer::noise;
use kit::loop_disk::LoopDisk;
use kit::sandbox::listing;
use kit::{Image, Layer, Outcome, Sandbox, skip};

/// An image of about `megabytes` that cannot be compressed.
fn image(megabytes: usize) -> Image {
    let file = |layer: Layer, number| {
        layer.file(&format!("usr/share/noise-{number}"), &noise(1_000_000, number as u64 + 77))
    };
    Image::new().layer((0..megabytes).fold(Layer::system("6.1.0").dir("usr/share"), file))
}

/// A repository on a disk of its own.
struct Disk {
    disk: LoopDisk,
    sandbox: Sandbox,
}

impl Disk {
    fn new(megabytes: u32, test: &str) -> Option<Self> {
        let disk = LoopDisk::new(megabytes).map_err(|why| skip(test, &why)).ok()?;
        let found = Self { disk, sandbox: Sandbox::new() };
        found.run(&["init"]).succeeds();
        Some(found)
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let repository = self.disk.path().join("repo").display().to_string();
        self.sandbox.store([&["--repo", &repository], args].concat())
    }

    fn import(&self, layout: &str, more: &[&str]) -> Outcome {
        self.run(&[&["import", "--name", layout, &format!("oci:{layout}")], more].concat())
    }

    fn names(&self) -> usize {
        self.run(&["images", "--json"]).json()["images"].as_array().unwrap().len()
    }
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_written() {
    let Some(disk) = Disk::new(24, "what_cannot_fit_is_refused_before_anything_is_written") else { return };
    image(40).write(&disk.sandbox.path("large"));
    let before = listing(&disk.disk.path());
    let told = disk.import("large", &[]).fails(4);
    assert!(told.contains("bytes are needed") && told.contains("are kept"), "{told}");
    assert_eq!(listing(&disk.disk.path()), before);
    // Nor does a reserve that is more than there is.
    image(1).write(&disk.sandbox.path("small"));
    let told = disk.import("small", &["--min-free", "1G"]).fails(4);
    assert!(told.contains("1073741824 of these are kept"), "{told}");
    assert_eq!(listing(&disk.disk.path()), before);
    disk.import("small", &[]).succeeds();
}

#[test]
fn an_import_that_touches_the_reserve_publishes_nothing() {
    let Some(disk) = Disk::new(64, "an_import_that_touches_the_reserve_publishes_nothing") else { return };
    image(1).write(&disk.sandbox.path("small"));
    image(24).write(&disk.sandbox.path("large"));
    disk.import("small", &[]).succeeds();
    // The store has something: what the image needs of these 24 MB is not known before.
    let told = disk.import("large", &["--min-free", "40MB"]).fails(4);
    assert!(told.contains("40000000 of these are kept"), "{told}");
    assert_eq!(disk.names(), 1);
    disk.run(&["fsck"]).succeeds();
    disk.run(&["gc"]).succeeds();
    disk.import("large", &["--min-free", "0"]).succeeds();
    // All is there: nothing is needed, and nothing refused, as long as the reserve is untouched.
    disk.import("large", &["--min-free", "1MB"]).succeeds();
    assert_eq!(disk.names(), 2);
    disk.run(&["fsck"]).succeeds();
}

#[test]
fn inodes_are_kept_too() {
    let Some(disk) = Disk::new(24, "inodes_are_kept_too") else { return };
    // mke2fs makes an inode for each 4 KiB of so small a disk: 6,144.
    let file = |layer: Layer, number: usize| {
        layer.file(&format!("usr/share/f-{number}"), &noise(100, number as u64 + 1))
    };
    let many = (0..5300).fold(Layer::system("6.1.0").dir("usr/share"), file);
    Image::new().layer(many).write(&disk.sandbox.path("many"));
    let told = disk.import("many", &["--min-free", "4K"]).fails(4);
    assert!(told.contains("inodes"), "{told}");
    assert_eq!(disk.names(), 0);
    disk.run(&["gc"]).succeeds();
    disk.import("many", &["--min-free", "0"]).succeeds();
}

#[test]
fn a_size_that_is_none_is_a_wrong_command_line() {
    Sandbox::with_repository().store(["import", "--min-free", "lots", "oci:x"]).fails(2);
}
