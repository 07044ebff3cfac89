//! Folders that are no layouts: files that are something else, and links to what is not theirs.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::attack::{Attack, Expect::Refused, Expect::Tree, layout};
use super::layout::{GOOD_TREE, Layout, good_tar};
use crate::kit::layout::digest;

/// A good layout.
fn good(layout: &Layout) {
    layout.index(&[layout.image(&[good_tar()])]);
}

/// A good layout, with one of its files moved out of it, and what was put there.
fn replaced(layout: &Layout, file: &str, put: impl Fn(&std::path::Path, &std::path::Path)) {
    good(layout);
    let path = layout.folder.join(file);
    let away = layout.folder.with_file_name("layout-away");
    let _ = fs::remove_dir_all(&away);
    fs::rename(&path, &away).expect("moved");
    put(&path, &away);
    // The canary is what the runner watches; this goes with the layout.
    fs::rename(&away, layout.folder.join("away")).expect("moved");
}

fn fifo(path: &std::path::Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

fn blob() -> String {
    digest(&good_tar()).replace("sha256:", "blobs/sha256/")
}

pub const ATTACKS: &[Attack] = &[
    layout("no marker", Refused("missing"), |layout| {
        good(layout);
        fs::remove_file(layout.folder.join("oci-layout")).expect("removed");
    }),
    layout("a marker of version 2", Refused("unsupported"), |layout| {
        good(layout);
        fs::write(layout.folder.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).expect("a marker");
    }),
    layout("a marker that is no JSON", Refused("malformed"), |layout| {
        good(layout);
        fs::write(layout.folder.join("oci-layout"), "1.0.0").expect("a marker");
    }),
    layout("a marker of 1 MiB", Refused("too-big"), |layout| {
        good(layout);
        fs::write(layout.folder.join("oci-layout"), " ".repeat(1 << 20)).expect("a marker");
    }),
    layout("a marker that is a pipe", Refused("malformed"), |layout| {
        replaced(layout, "oci-layout", |path, _| fifo(path));
    }),
    layout("no index", Refused("missing"), |layout| {
        good(layout);
        fs::remove_file(layout.folder.join("index.json")).expect("removed");
    }),
    layout("an index that is a pipe", Refused("malformed"), |layout| {
        replaced(layout, "index.json", |path, _| fifo(path));
    }),
    layout("an index that is a folder", Refused("malformed"), |layout| {
        replaced(layout, "index.json", |path, _| fs::create_dir(path).expect("a folder"));
    }),
    layout("an index that is a symlink out of the layout", Refused("malformed"), |layout| {
        replaced(layout, "index.json", |path, _| symlink("/etc/passwd", path).expect("a symlink"));
    }),
    layout("an index without an end", Refused("malformed"), |layout| {
        replaced(layout, "index.json", |path, _| symlink("/dev/zero", path).expect("a symlink"));
    }),
    layout("a blob that is a symlink out of the layout", Refused("malformed"), |layout| {
        replaced(layout, &blob(), |path, away| symlink(away, path).expect("a symlink"));
    }),
    layout("a blob that is a symlink to zeros without an end", Refused("malformed"), |layout| {
        replaced(layout, &blob(), |path, _| symlink("/dev/zero", path).expect("a symlink"));
    }),
    layout("a blob that is a pipe", Refused("malformed"), |layout| {
        replaced(layout, &blob(), |path, _| fifo(path));
    }),
    layout("a blob that is a folder", Refused("malformed"), |layout| {
        replaced(layout, &blob(), |path, _| fs::create_dir(path).expect("a folder"));
    }),
    layout("a blob that is missing", Refused("missing"), |layout| replaced(layout, &blob(), |_, _| {})),
    layout("a folder of blobs that is a symlink out of the layout", Refused("malformed"), |layout| {
        replaced(layout, "blobs", |path, away| symlink(away, path).expect("a symlink"));
    }),
    layout("a blob with more than its size, and no end", Refused("size"), |layout| {
        good(layout);
        let file =
            fs::File::options().append(true).open(layout.blob_path(&digest(&good_tar()))).expect("a blob");
        file.set_len(1 << 40).expect("a hole");
    }),
    layout("a layout with other files in it", Tree(GOOD_TREE), |layout| {
        good(layout);
        symlink("/", layout.folder.join("root")).expect("a symlink");
        fifo(&layout.folder.join("blobs/sha256/pipe"));
        fs::write(layout.folder.join("blobs/sha256/..."), "x").expect("a file");
    }),
];
