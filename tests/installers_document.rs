//! The commands in docs/installers.md run as they stand there, but for the places and images, which are a test's.
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

use kit::artifact::write_layout;
use kit::disk::mbr_disk;
use kit::{Image, Outcome, Sandbox};

/// The commands, in the order of the document.
fn commands() -> Vec<String> {
    let path = format!("{}/docs/installers.md", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("docs/installers.md");
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// What is nowhere but in the document, and what is there for it. The last reference of a command is the image; one that
/// follows `--target-ref` is only noted.
fn words(line: &str, image: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace().skip(1) {
        let is_noted = words.last().is_some_and(|before| before == "--target-ref");
        let is_image =
            ["docker://", "oci://", "oci:", "containers-storage:"].iter().any(|kind| word.starts_with(kind));
        let inside = word.strip_prefix("/mnt/").or_else(|| word.strip_prefix("/run/osbuild/"));
        let meant = match (is_image && !is_noted, inside, word) {
            (true, _, _) => image,
            (_, Some(inside), _) => inside,
            (_, _, "/dev/sda") => "sda.raw",
            _ => word,
        };
        words.push(meant.to_owned());
    }
    if let Some(secret) = words.iter().position(|word| word == "--pull-secret") {
        words.drain(secret..secret + 2);
    }
    words
}

#[test]
fn the_commands_of_the_installers_document_run() {
    let sandbox = Sandbox::new();
    Image::bootable("6.1.0").write(&sandbox.path("image"));
    write_layout(&sandbox.path("artifact"), &[(&mbr_disk(4 << 20), "application/octet-stream", "disk")]);
    fs::create_dir_all(sandbox.path("drive/openstack/latest")).unwrap();
    fs::write(sandbox.path("drive/openstack/latest/meta_data.json"), "{}").unwrap();
    for root in ["sysimage", "mounts"] {
        fs::create_dir_all(sandbox.path(root).join("boot/efi")).unwrap();
    }
    let commands = commands();
    assert_eq!(commands.len(), 4, "{commands:?}");
    for line in &commands {
        assert!(line.starts_with("store install "), "{line}");
        let image = if line.contains("from-artifact") { "oci:artifact" } else { "oci:image" };
        let outcome = Outcome::of(&mut sandbox.command(words(line, image)));
        assert_eq!(outcome.code, 0, "{line}\n{}", outcome.stderr);
    }
    // What is followed is what the document says, wherever the image came from.
    for root in ["sysimage", "mounts"] {
        let esp = format!("{root}/boot/efi");
        let status = sandbox.store(["status", "--json", "--sysroot", root, "--esp", &esp]).json();
        assert_eq!(status["deployments"][0]["image"]["reference"], "docker://quay.io/example/os:1");
        assert_eq!(status["deployments"][0]["health"]["is"], "good");
    }
    let esp = "sysimage/boot/efi";
    let status = sandbox.store(["status", "--json", "--sysroot", "sysimage", "--esp", esp]).json();
    let kargs: Vec<_> = status["deployments"][0]["kargs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|karg| karg["karg"].as_str().unwrap())
        .collect();
    for expected in [
        "root=UUID=0aa1",
        "rd.lvm.lv=vg/root",
        "rd.luks.uuid=luks-0cc3",
        "systemd.mount-extra=UUID=0bb2:/boot",
    ] {
        assert!(kargs.contains(&expected), "{kargs:?}");
    }
}
