//! umoci, built on Go's `archive/tar`, unpacks the same layers: where the rules say that it is right, the trees must be
//! the same, and what it refuses we refuse.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Command;

use sealstone_import::{Digest, DigestAlgorithm};

use crate::kit::{Header, Tar, build, tree};
use sealstone_import::tar::Strictness;

/// Layers that both take, with the same result.
fn taken() -> Vec<(&'static str, Tar)> {
    let old_size = Header::new(b'1', "link").link("a").size(512);
    vec![
        (
            "normalised paths",
            Tar::new().file("/usr/a", b"1").file("./usr/b", b"2").file("usr//c", b"3").file("usr/./d", b"4"),
        ),
        ("trailing slash on a file", Tar::new().dir("usr").file("usr/file/", b"x")),
        ("v7 directory", Tar::new().entry(Header::new(0, "old/").v7().mode(0o755), b"").file("old/x", b"x")),
        ("missing parents", Tar::new().file("usr/x/y/z", b"1")),
        ("duplicate path", Tar::new().file("a", b"1").file("a", b"2")),
        ("file over directory", Tar::new().dir("a").file("a/b", b"1").file("a", b"2")),
        ("directory over file", Tar::new().file("a", b"1").dir("a").file("a/b", b"2")),
        (
            "symlinked parent",
            Tar::new().dir("usr").dir("usr/a").symlink("lib", "usr/a").file("lib/thru", b"x"),
        ),
        ("symlink out of the root", Tar::new().dir("etc").symlink("out", "../../../etc").file("out/f", b"x")),
        ("absolute symlink", Tar::new().dir("etc").symlink("out", "/etc").file("out/f", b"x")),
        ("hardlink", Tar::new().file("a", b"x").hardlink("b", "a")),
        ("hardlink to symlink", Tar::new().symlink("a", "nowhere").hardlink("b", "a")),
        ("size on a hardlink", Tar::new().file("a", b"x").entry(old_size, b"").file("hidden", b"y")),
        (
            "pax size",
            Tar::new().pax(&[("size", b"5")]).entry(Header::new(b'0', "a"), b"hello").file("b", b""),
        ),
        (
            "pax size before a long name",
            Tar::new().pax(&[("size", b"5")]).extended(b'L', b"long").entry(Header::new(b'0', "a"), b"hello"),
        ),
        ("two pax headers", Tar::new().pax(&[("path", b"p")]).pax(&[("gid", b"0")]).file("a", b"x")),
        ("empty pax value", Tar::new().pax(&[("path", b""), ("uid", b"")]).file("a", b"x")),
        (
            "base-256 size",
            Tar::new().entry(
                Header::new(b'0', "a").field(124..136, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                b"x",
            ),
        ),
        ("negative time", Tar::new().pax(&[("mtime", b"-1.5")]).file("a", b"x")),
        ("one zero block", Tar::new().file("a", b"x").zeros(1)),
        ("no zero blocks", Tar::new().file("a", b"x")),
        ("no last padding", Tar::new().raw(&Header::new(b'0', "a").size(1).done()).raw(b"x")),
        ("two tars", Tar::new().file("a", b"x").zeros(2).file("hidden", b"y")),
        ("garbage after the end", Tar::new().file("a", b"x").zeros(2).raw(b"garbage")),
        ("whiteout after its layer's file", Tar::new().dir("a").file("a/new", b"x").file("a/.wh.new", b"")),
        (
            "opaque after its layer's file",
            Tar::new().dir("a").file("a/new", b"x").file("a/.wh..wh..opq", b""),
        ),
        ("pipe", Tar::new().entry(Header::new(b'6', "pipe"), b"")),
        ("sparse 0.1", sparse_0_1()),
        ("names that are not UTF-8", Tar::new().entry(Header::new(b'0', b"caf\xe9"), b"")),
    ]
}

fn sparse_0_1() -> Tar {
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.map", b"4,2"),
    ];
    Tar::new().pax(records).entry(Header::new(b'0', "x").size(2), b"ab")
}

/// Layers that both refuse.
fn refused() -> Vec<(&'static str, Tar)> {
    vec![
        ("symlink as the root", Tar::new().symlink(".", "/etc")),
        ("empty name", Tar::new().file("", b"")),
        ("NUL in a path", Tar::new().pax(&[("path", b"a\0b")]).file("x", b"")),
        ("long name", Tar::new().pax(&[("path", &[b'n'; 300])]).file("x", b"")),
        ("hardlink to a directory", Tar::new().dir("d").hardlink("h", "d")),
        ("forward hardlink", Tar::new().hardlink("h", "f").file("f", b"")),
        ("malformed record", Tar::new().extended(b'x', b"99 path=a\n").file("x", b"")),
        (
            "base-256 overflow",
            Tar::new()
                .entry(Header::new(b'0', "a").field(124..136, &[0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), b""),
        ),
        ("unknown type", Tar::new().entry(Header::new(b'Z', "a"), b"")),
        ("truncated body", Tar::new().raw(&Header::new(b'0', "a").size(100).done()).raw(b"short")),
        ("garbage between entries", Tar::new().file("a", b"").raw(&[0x5a; 512]).file("b", b"")),
        ("bad checksum", Tar::new().raw(&Header::new(b'0', "a").0)),
        ("lone zero block", Tar::new().file("a", b"").zeros(1).file("b", b"")),
    ]
}

fn put_blob(layout: &Path, bytes: &[u8]) -> String {
    let hex = Digest::of(DigestAlgorithm::Sha256, bytes).to_hex();
    fs::write(layout.join("blobs/sha256").join(&hex), bytes).unwrap();
    format!(r#""digest":"sha256:{hex}","size":{}"#, bytes.len())
}

/// Writes an image of one uncompressed layer.
fn write_layout(layout: &Path, tar: &[u8]) {
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let layer = put_blob(layout, tar);
    let diff_id = layer.split('"').nth(3).unwrap();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let oci = "application/vnd.oci.image";
    let config = put_blob(layout, config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{oci}.manifest.v1+json","config":{{"mediaType":"{oci}.config.v1+json",{config}}},"layers":[{{"mediaType":"{oci}.layer.v1.tar",{layer}}}]}}"#
    );
    let manifest = put_blob(layout, manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{oci}.manifest.v1+json",{manifest},"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}]}}"#
    );
    fs::write(layout.join("index.json"), index).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// The tree that umoci makes of a layer, as lines; `Err` when it refuses.
fn unpack(tar: &[u8]) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let (layout, bundle) = (directory.path().join("layout"), directory.path().join("bundle"));
    write_layout(&layout, tar);
    let image = format!("{}:t", layout.display());
    let output = Command::new("umoci")
        .args(["unpack", "--rootless", "--image", &image])
        .arg(&bundle)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut lines = Vec::new();
    list(&bundle.join("rootfs"), "", &mut lines);
    Ok(lines)
}

fn list(directory: &Path, prefix: &str, out: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = crate::kit::text(std::os::unix::ffi::OsStrExt::as_bytes(&*entry.file_name()));
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            out.push(format!("{path} dir"));
            list(&entry.path(), &path, out);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            out.push(format!("{path} -> {}", target.display()));
        } else if kind.is_fifo() {
            out.push(format!("{path} fifo"));
        } else {
            out.push(format!("{path} file {} bytes", entry.metadata().unwrap().len()));
        }
    }
}

/// Our tree as umoci's lines: no whiteouts, implicit directories like any, sizes in the place of contents.
fn ours(tar: &[u8]) -> Vec<String> {
    let (built, _) = build(tar, Strictness::Normal).unwrap();
    let sizes: Vec<_> =
        crate::kit::read(tar).iter().map(|seen| (seen.body.clone(), seen.entry.size())).collect();
    let line = |line: String| {
        let line = line.replace(" over whiteout", "").replace(" opaque", "").replace("dir?", "dir");
        match line.split_once(" file ") {
            Some((path, content)) => {
                let size = sizes
                    .iter()
                    .find(|(body, _)| crate::kit::text(body) == content)
                    .map_or(0, |found| found.1);
                format!("{path} file {size} bytes")
            }
            None => line,
        }
    };
    assert!(!tree(tar).is_empty());
    crate::kit::lines(&built).into_iter().map(line).collect()
}

#[test]
fn umoci_unpacks_the_same_trees() {
    if Command::new("umoci").arg("--version").output().is_err() {
        println!("skipped: umoci is not installed");
        return;
    }
    for (name, tar) in taken() {
        let tar = tar.0;
        let theirs = unpack(&tar).unwrap_or_else(|error| panic!("{name}: umoci refuses: {error}"));
        assert_eq!(ours(&tar), theirs, "{name}");
    }
    for (name, tar) in refused() {
        assert!(unpack(&tar.0).is_err(), "{name}: umoci takes it");
        assert!(build(&tar.0, Strictness::Normal).is_err(), "{name}: we take it");
    }
}
