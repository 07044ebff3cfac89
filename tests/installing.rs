//! Installing into folders: the first system of a sysroot, by the same way as an update.
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

use kit::system::{System, field};
use kit::{Image, Outcome, Sandbox};
use serde_json::Value;

/// Empty folders `mnt` and `esp`, and images in layouts.
struct Target {
    sandbox: Sandbox,
}

impl Target {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        for folder in ["mnt", "esp"] {
            fs::create_dir(sandbox.path(folder)).expect("a folder");
        }
        Self { sandbox }
    }

    /// Writes an image as a layout, and gives its reference.
    fn image(&self, name: &str, image: &Image) -> String {
        let folder = self.sandbox.path(name);
        image.write(&folder);
        format!("oci:{}", folder.display())
    }

    fn install(&self, reference: &str, more: &[&str]) -> Outcome {
        let args = ["install", "to-filesystem", "--root", "mnt", "--esp", "esp", reference];
        Outcome::of(self.sandbox.command([&args[..], more].concat()).env_remove("SEALSTONE_REPO"))
    }

    fn store(&self, args: &[&str]) -> Outcome {
        let place = ["--sysroot", "mnt", "--esp", "esp"];
        Outcome::of(self.sandbox.command([args, &place].concat()).env_remove("SEALSTONE_REPO"))
    }

    fn status(&self) -> Value {
        self.store(&["status", "--json"]).json()
    }

    /// The command line of the one entry.
    fn options(&self) -> String {
        let entries: Vec<_> =
            fs::read_dir(self.sandbox.path("esp/loader/entries")).expect("entries").collect();
        assert_eq!(entries.len(), 1);
        let text = fs::read_to_string(entries[0].as_ref().expect("an entry").path()).expect("a text");
        field(&text, "options")
    }
}

#[test]
fn a_folder_becomes_a_system_that_updates_at_once() {
    let target = Target::new();
    let first = target.image("os", &System::image("1", &[]));
    let document =
        target.install(&first, &["--json", "--root-mount-spec", "UUID=ab-cd", "--karg", "quiet"]).json();
    assert_eq!(document["deployment"]["image"]["reference"], first.as_str());
    assert_eq!(document["deployment"]["place"], "default");
    let options = target.options();
    assert!(options.contains("root=UUID=ab-cd rw quiet composefs="), "{options}");
    let meta = fs::read_to_string(target.sandbox.path("mnt/composefs/meta.json")).expect("meta.json");
    assert!(meta.contains("sha512"), "{meta}");
    // The reference leads to something new now.
    System::image("2", &[]).write(&target.sandbox.path("os"));
    target.store(&["update"]).succeeds();
    let status = target.status();
    assert_eq!(status["deployments"].as_array().expect("deployments").len(), 2);
    assert_eq!(status["deployments"][0]["os"]["version"], "2");
    let kargs: Vec<&str> = status["deployments"][0]["kargs"]
        .as_array()
        .expect("arguments")
        .iter()
        .filter_map(|karg| karg["karg"].as_str())
        .collect();
    assert_eq!(kargs, ["root=UUID=ab-cd", "rw", "quiet"]);
}

#[test]
fn updates_follow_the_target_reference_and_not_where_the_image_came_from() {
    let target = Target::new();
    let here = target.image("os", &System::image("1", &[]));
    target.install(&here, &["--target-ref", "docker://example.org/os:1"]).succeeds();
    let status = target.status();
    assert_eq!(status["deployments"][0]["image"]["reference"], "docker://example.org/os:1");
}

#[test]
fn the_install_configuration_of_the_image_says_how_the_root_is_found() {
    let target = Target::new();
    let config = "[install]\ndiscoverable-partitions = true\nkargs = ['console=ttyS0']\n";
    let image = System::image("1", &[("usr/lib/bootc/install/10.toml", config)]);
    target.install(&target.image("os", &image), &[]).succeeds();
    let options = target.options();
    assert!(options.starts_with("console=ttyS0 rw composefs="), "{options}");
}

#[test]
fn the_machines_own_files_are_laid_over_etc() {
    let target = Target::new();
    let image = target.image("os", &System::image("1", &[]));
    target.install(&image, &["--hostname", "web-1"]).succeeds();
    let id = target.status()["deployments"][0]["id"].as_str().expect("an id").to_owned();
    let hostname = target.sandbox.path(&format!("mnt/state/deploy/{id}/etc/hostname"));
    assert_eq!(fs::read_to_string(hostname).expect("a file"), "web-1\n");
}

#[test]
fn another_system_is_not_touched_and_the_same_one_is_made_whole() {
    let target = Target::new();
    let (first, second) =
        (target.image("one", &System::image("1", &[])), target.image("two", &System::image("2", &[])));
    target.install(&first, &[]).succeeds();
    let refused = target.install(&second, &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the deployment") && refused.stderr.contains(&first),
        "{}",
        refused.stderr
    );
    // What a run that was cut off before the entry leaves.
    fs::remove_dir_all(target.sandbox.path("esp/loader")).expect("entries");
    target.install(&first, &[]).succeeds();
    assert_eq!(target.status()["deployments"].as_array().expect("deployments").len(), 1);
    assert!(target.options().contains("composefs="));
}

#[test]
fn a_dry_run_changes_nothing() {
    let target = Target::new();
    let image = target.image("os", &System::image("1", &[]));
    let document = target.install(&image, &["--dry-run", "--json"]).json();
    assert_eq!(document["schema"], "sealstone.install-plan/1");
    assert!(document["bytes_to_fetch"].as_u64().expect("bytes") > 0);
    for folder in ["mnt", "esp"] {
        assert_eq!(fs::read_dir(target.sandbox.path(folder)).expect("a folder").count(), 0);
    }
}

#[test]
fn a_root_without_boot_partitions_and_an_image_without_a_kernel_are_refused() {
    let target = Target::new();
    let image = target.image("os", &System::image("1", &[]));
    let args = ["install", "to-filesystem", "--root", "mnt", &image];
    let outcome = Outcome::of(target.sandbox.command(args).env_remove("SEALSTONE_REPO"));
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    let plain = target.image("plain", &Image::new().layer(kit::Layer::new().file("usr/bin/x", b"x")));
    let outcome = target.install(&plain, &[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("kernel"), "{}", outcome.stderr);
}
