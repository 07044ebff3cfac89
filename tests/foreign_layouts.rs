//! Layouts that other programs make are imported: those of skopeo and umoci, each of which has its own idea of what a layout,
//! an archive and a layer look like. Each test says so when its program is not installed.
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
use std::os::unix::fs::symlink;

use kit::layer::noise;
use kit::{Compression, Image, Layer, Sandbox, has, run};
use serde_json::Value;

/// The ids that an import of `reference` gives.
#[track_caller]
fn import(sandbox: &Sandbox, name: &str, reference: &str) -> Value {
    sandbox.store(["import", "--json", "--name", name, reference]).json()
}

/// The paths of an image, without the slash at their beginning; with their content where they are files.
fn files(sandbox: &Sandbox, name: &str) -> BTreeSet<(String, Option<Vec<u8>>)> {
    let listed = sandbox.store(["ls", "-R", "--json", name]).json();
    let file = |file: &Value| {
        let path = file["path"].as_str().expect("a path");
        let cat = || sandbox.command(["cat", name, path]).output().expect("runs").stdout;
        (path.trim_start_matches('/').to_owned(), (file["type"] == "file").then(cat))
    };
    let files = listed["files"].as_array().expect("files").iter().map(file);
    files.filter(|(path, _)| !path.is_empty()).collect()
}

#[test]
fn copies_that_skopeo_makes_give_the_same_image() {
    if !has("skopeo", "copies_that_skopeo_makes_give_the_same_image") {
        return;
    }
    let sandbox = Sandbox::with_repository();
    let plain = Layer::new().dir("opt").file("opt/big", &noise(400_000, 11)).whiteout("etc/hostname");
    Image::bootable("6.1.0").compressed_layer(plain, Compression::None).write(&sandbox.path("layout"));
    let expected = import(&sandbox, "expected", "oci:layout:latest");
    let copies: [(&[&str], &str, &str); 5] = [
        (&[], "oci:layout:latest", "oci:copied:v1"),
        (&[], "oci:layout:latest", "oci-archive:copied.tar:v1"),
        (&["--dest-decompress"], "oci:layout:latest", "dir:plain"),
        (&["--dest-compress-format=zstd"], "dir:plain", "oci:zstd:v1"),
        (&["--dest-oci-accept-uncompressed-layers"], "dir:plain", "oci:plain:v1"),
    ];
    for (number, (options, from, copy)) in copies.into_iter().enumerate() {
        let args = [&["--insecure-policy", "copy", "-q"], options, &[from, copy]].concat();
        run(&sandbox, "skopeo", &args);
        if copy.starts_with("dir:") {
            continue;
        }
        if let Some(folder) = copy.strip_prefix("oci:zstd").map(|_| sandbox.path("zstd/blobs/sha256")) {
            let is_zstd =
                |path: &std::path::PathBuf| fs::read(path).unwrap().starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
            let blobs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            assert_eq!(blobs.filter(is_zstd).count(), 3, "skopeo packed the layers otherwise");
        }
        // Layers that are there already would be believed, not read.
        let repository = sandbox.path(&format!("repo{number}")).display().to_string();
        sandbox.store(["init", "--repo", &repository]).succeeds();
        let found = sandbox.store(["import", "--json", "--repo", &repository, copy]).json();
        for key in ["image", "bootable"] {
            assert_eq!(found[key], expected[key], "{copy}");
        }
        let origins: Vec<_> =
            found["layers"].as_array().unwrap().iter().map(|layer| &layer["origin"]).collect();
        assert_eq!(origins, ["imported"; 3], "{copy}");
        let diff_ids = |document: &Value| {
            let layers = document["layers"].as_array().unwrap();
            layers.iter().map(|layer| layer["diff_id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(diff_ids(&found), diff_ids(&expected), "{copy}");
    }
}

#[test]
fn layers_that_umoci_repacks_and_inserts_have_the_files_of_its_bundle() {
    if !has("umoci", "layers_that_umoci_repacks_and_inserts_have_the_files_of_its_bundle") {
        return;
    }
    let sandbox = Sandbox::with_repository();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    let rootless: &[&str] = if kit::is_root() { &[] } else { &["--rootless"] };
    let unpack = |tag: &str, bundle: &str| {
        run(&sandbox, "umoci", &[&["unpack", "--image", tag], rootless, &[bundle]].concat());
    };
    unpack("layout:latest", "bundle");
    let root = sandbox.path("bundle/rootfs");
    fs::remove_file(root.join("etc/hostname")).unwrap();
    fs::remove_dir_all(root.join("usr/share")).unwrap();
    fs::write(root.join("usr/bin/hello"), noise(20_000, 12)).unwrap();
    fs::create_dir_all(root.join("opt/new")).unwrap();
    fs::write(root.join("opt/new/fichier-é"), b"umoci writes PAX headers").unwrap();
    fs::write(root.join("opt/new").join("n".repeat(200)), noise(100, 1)).unwrap();
    fs::hard_link(root.join("usr/bin/hello"), root.join("opt/hello")).unwrap();
    symlink("../usr/bin/hello", root.join("opt/link")).unwrap();
    run(&sandbox, "umoci", &["repack", "--image", "layout:repacked", "bundle"]);
    // A layer that hides all that lower ones have in a folder.
    fs::create_dir(sandbox.path("inserted")).unwrap();
    fs::write(sandbox.path("inserted/alone"), b"alone").unwrap();
    let insert = ["insert", "--image", "layout:repacked", "--tag", "inserted", "--opaque"];
    run(&sandbox, "umoci", &[&insert, rootless, &["inserted", "/opt/new"]].concat());
    for (tag, layers) in [("repacked", 3), ("inserted", 4)] {
        let imported = import(&sandbox, tag, &format!("oci:layout:{tag}"));
        assert_eq!(imported["layers"].as_array().unwrap().len(), layers, "{tag}");
        // What umoci itself makes of its layers.
        unpack(&format!("layout:{tag}"), tag);
        let files = files(&sandbox, tag);
        assert_eq!(files, on_disk(&sandbox, &format!("{tag}/rootfs")), "{tag}");
        let has = |path: &str| files.iter().any(|(found, _)| found == path);
        assert!(!has("etc/hostname") && !has("usr/share") && has("opt/link"), "{tag}");
        assert_eq!(has("opt/new/alone"), tag == "inserted");
        assert_eq!(has("opt/new/fichier-é"), tag == "repacked");
    }
}

/// The paths below a folder, as [`files`] gives those of an image.
fn on_disk(sandbox: &Sandbox, folder: &str) -> BTreeSet<(String, Option<Vec<u8>>)> {
    let top = sandbox.path(folder);
    let mut found = BTreeSet::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let relative = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
            found.insert((relative, kind.is_file().then(|| fs::read(&path).unwrap())));
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}
