//! `store image digest` computes one digest on every way, that of the image which an import makes, and `store diff --explain`
//! says why another digest is none of this image.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use kit::{Compression, Image, Layer, Sandbox, is_root, skip};
use sealstone::store::disk::RealDisk;
use sealstone::store::erofs::{self, Version};
use sealstone::store::{RefName, RefTarget, Repository};
use serde_json::{Value, json};

/// A capability as the kernel takes it: `struct vfs_cap_data` of version 2, `CAP_NET_RAW`.
const CAPABILITY: &[u8] = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
const EVERYTHING: [&str; 4] = ["--erofs", "v1,v2", "--algorithm", "sha256,sha512"];

/// Layers with all that a digest depends on: a policy whose files are objects, hardlinks, attributes, whiteouts.
fn layers() -> [Vec<u8>; 2] {
    let padding = "# a comment\n".repeat(20);
    let contexts =
        format!("{padding}/.* system_u:object_r:default_t:s0\n/usr(/.*)? system_u:object_r:usr_t:s0\n");
    let lower = Layer::system("6.12.1")
        .dir("etc/selinux")
        .dir("etc/selinux/targeted")
        .dir("etc/selinux/targeted/contexts")
        .dir("etc/selinux/targeted/contexts/files")
        .file("etc/selinux/config", b"SELINUX=enforcing\nSELINUXTYPE=targeted\n")
        .file("etc/selinux/targeted/contexts/files/file_contexts", contexts.as_bytes())
        .file("boot/left", b"left")
        .file_with_mode("usr/bin/setuid", 0o4755, &[7; 5000])
        .hardlink("usr/bin/same", "usr/bin/setuid")
        .file_with_xattr("usr/bin/ping", &[8; 3000], "security.capability", CAPABILITY)
        .file_with_xattr("usr/bin/tagged", b"tagged", "user.origin", b"build host")
        .symlink("usr/bin/sh", "hello");
    let upper = Layer::new().dir("etc").whiteout("etc/hostname").file("etc/machine", &[9; 700]);
    [lower.finish(), upper.finish()]
}

fn image() -> Image {
    layers().into_iter().fold(Image::new(), |image, tar| image.tar(tar, Compression::Gzip))
}

/// Unpacks the layers as a container tool does: by GNU tar, whiteouts applied, times of folders set at the end.
fn unpack(sandbox: &Sandbox, folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (number, tar) in layers().into_iter().enumerate() {
        let path = sandbox.path(&format!("{number}.tar"));
        fs::write(&path, tar).unwrap();
        if number == 1 {
            fs::remove_file(folder.join("etc/hostname")).unwrap();
        }
        let output = Command::new("tar")
            .args([
                "--xattrs",
                "--delay-directory-restore",
                "--xattrs-include=*",
                "--numeric-owner",
                "--same-owner",
                "--exclude=.wh.*",
                "-xpf",
            ])
            .arg(&path)
            .arg("-C")
            .arg(folder)
            .output()
            .expect("GNU tar");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The digests of an answer, by format and hash.
fn digests(document: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let digests = document["digests"].as_array().expect("digests").iter();
    digests
        .map(|one| (format!("{} {}", text(&one["erofs"]), text(&one["algorithm"])), text(&one["digest"])))
        .collect()
}

fn digest(sandbox: &Sandbox, what: &[&str]) -> Value {
    sandbox.store([&["image", "digest", "--json"][..], what, &EVERYTHING].concat()).json()
}

#[test]
fn a_layout_a_stored_image_and_its_unpacked_files_have_one_digest_that_of_the_import() {
    let sandbox = Sandbox::with_image(&image());
    let layout = format!("oci:{}", sandbox.path("layout").display());
    let of_layout = digest(&sandbox, &["--source", &layout]);
    let of_stored = digest(&sandbox, &["example"]);
    assert_eq!(of_layout["profile"], json!("bootable"));
    assert_eq!(of_layout, of_stored);
    let all = digests(&of_layout);
    assert_eq!(all.len(), 4, "{all:?}");
    let bootable = sandbox.store(["inspect", "--json", "example"]).json()["bootable"].clone();
    assert_eq!(json!(all["v1 fsverity-sha256-12"]), bootable);

    // The other hash is that of a repository which has it.
    let other = Sandbox::new();
    other.store(["init", "--algorithm", "sha512"]).succeeds();
    other.import("layout", &image(), "example").succeeds();
    let bootable = other.store(["inspect", "--json", "example"]).json()["bootable"].clone();
    assert_eq!(json!(all["v1 fsverity-sha512-12"]), bootable);
    assert_eq!(digest(&other, &["example"]), of_layout);

    if !is_root() {
        return skip("the digest of unpacked files", "owners and capabilities need root");
    }
    let folder = sandbox.path("unpacked");
    unpack(&sandbox, &folder);
    assert_eq!(digest(&sandbox, &["--root", folder.to_str().unwrap()]), of_layout);
}

#[test]
fn the_digest_comes_alone_or_as_a_kernel_argument_and_needs_no_repository() {
    let sandbox = Sandbox::new();
    image().write(&sandbox.path("layout"));
    let layout = format!("oci:{}", sandbox.path("layout").display());
    let run = |more: &[&str]| {
        sandbox
            .store([&["image", "digest", "--source", &layout][..], more].concat())
            .succeeds()
            .trim()
            .to_owned()
    };
    let digest = run(&[]);
    assert_eq!(digest.len(), 128, "{digest}");
    assert_eq!(run(&["--karg"]), format!("composefs={digest}"));
    let karg = run(&["--karg", "--erofs", "v2", "--algorithm", "sha256"]);
    assert!(karg.starts_with("composefs.digest=v2-sha256-12:"), "{karg}");
    assert_ne!(run(&["--profile", "oci"]), digest);
    assert!(!sandbox.repository().exists());
}

#[test]
fn a_folder_that_is_no_image_is_refused_for_the_profile() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("tree/usr")).unwrap();
    let tree = sandbox.path("tree");
    let refused =
        sandbox.store(["image", "digest", "--profile", "bootable", "--root", tree.to_str().unwrap()]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("/boot"), "{}", refused.stderr);
    sandbox.store(["image", "digest", "--root", tree.to_str().unwrap()]).succeeds();
}

#[test]
fn a_digest_of_the_same_files_in_another_way_is_explained() {
    let sandbox = Sandbox::with_image(&image());
    let all = digests(&digest(&sandbox, &["example"]));
    let explain = |wanted: &str| sandbox.store(["diff", "--explain", "--json", wanted, "example"]).json();
    let same = explain(&all["v1 fsverity-sha256-12"]);
    assert_eq!((&same["cause"], &same["recipe"]), (&json!("same"), &Value::Null), "{same}");
    let karg = format!("composefs=?{}", all["v2 fsverity-sha512-12"]);
    let other = explain(&karg);
    assert_eq!(other["cause"], json!("recipe"), "{other}");
    assert_eq!(other["recipe"], json!({"profile": "bootable", "erofs": "v2", "departures": []}), "{other}");
    let text = sandbox.store(["diff", "--explain", &all["v2 fsverity-sha256-12"], "example"]).succeeds();
    assert!(text.contains("made otherwise") && text.contains("format v2"), "{text}");
}

#[test]
fn files_that_differ_are_named_when_both_images_are_known_and_else_said_to_be_others() {
    let sandbox = Sandbox::with_image(&image());
    let changed = image().layer(Layer::new().file_with_mode("etc/machine", 0o600, &[9; 700]));
    sandbox.import("changed", &changed, "changed").succeeds();
    let document = sandbox.store(["diff", "--explain", "--json", "changed", "example"]).json();
    assert_eq!((&document["cause"], &document["paths"]), (&json!("files"), &json!(1)), "{document}");
    let first = json!({"path": "/etc/machine", "what": "mode", "ours": "0644", "theirs": "0600"});
    assert_eq!(document["first"], first);
    let text = sandbox.store(["diff", "--explain", "changed", "example"]).succeeds();
    assert!(text.contains("/etc/machine: mode is 0644 here and 0600 there"), "{text}");

    // A dump says as much as an image.
    let dump = sandbox.path("changed.dump");
    fs::write(&dump, sandbox.store(["dump", "changed"]).succeeds()).unwrap();
    let of_dump = sandbox.store(["diff", "--explain", "--json", dump.to_str().unwrap(), "example"]).json();
    assert_eq!(of_dump["first"], first, "{of_dump}");

    let unknown = sandbox.store(["diff", "--explain", "--exit-code", &"ab".repeat(32), "example"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    assert!(unknown.stdout.contains("so the files are others"), "{}", unknown.stdout);
}

#[test]
fn an_image_of_format_v2_is_read_compared_checked_and_kept_as_any_other() {
    let sandbox = Sandbox::with_image(&image());
    let all = digests(&digest(&sandbox, &["example"]));
    let v1 = &all["v1 fsverity-sha256-12"];
    let repository = Repository::open(&RealDisk::shared(), sandbox.repository()).unwrap();
    let bytes = repository.map_object(&v1.parse().unwrap()).unwrap();
    let tree = erofs::Image::open(&bytes).unwrap().to_tree().unwrap();
    let transaction = repository.transaction().unwrap();
    let made = transaction.put(&erofs::write_version(&tree, Version::V2).unwrap()).unwrap().id;
    transaction.name_image(made);
    transaction.set_ref(RefName::oci("kept").unwrap(), RefTarget::Image(made));
    let _ = transaction.commit(()).unwrap();
    assert_eq!(made.to_hex(), all["v2 fsverity-sha256-12"]);
    drop((bytes, repository));

    // All that is left needs the image of format V2, and nothing else.
    let v2 = made.to_hex();
    assert_eq!(sandbox.store(["diff", v1, &v2]).succeeds(), "");
    sandbox.store(["rm", "example"]).succeeds();
    sandbox.store(["gc"]).succeeds();
    let checked = sandbox.store(["fsck", "--json"]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    assert_eq!(
        sandbox.store(["cat", &v2, "/usr/lib/os-release"]).succeeds().lines().next(),
        Some("ID=example")
    );
    assert!(sandbox.store(["ls", &v2, "/usr/bin"]).succeeds().contains("setuid"));
    assert_eq!(sandbox.store(["cat", &v2, "/usr/bin/setuid"]).code, 0);
    assert!(sandbox.store(["dump", &v2]).succeeds().contains("/etc/machine"));

    // Damage in an object of it is found.
    let tree_of = sandbox.store(["ls", "--json", &v2, "/usr/bin/setuid"]).json();
    let object = tree_of["files"][0]["object"].as_str().expect("an object").to_owned();
    let path = sandbox.repository().join("objects").join(&object[..2]).join(&object[2..]);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(&path, permissions).unwrap();
    fs::write(&path, b"other").unwrap();
    assert_ne!(sandbox.store(["fsck"]).code, 0);
}
