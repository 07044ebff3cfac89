//! `store import --explain` says what was read otherwise than it is written, what could be read in several ways, and why an
//! image was refused.
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

use kit::raw_tar::pax_text;
use kit::{Compression, Image, RawHeader, RawTar, Sandbox};
use serde_json::{Value, json};

fn write(sandbox: &Sandbox, tar: Vec<u8>) {
    Image::new().tar(tar, Compression::Gzip).write(&sandbox.path("layout"));
}

fn explained(sandbox: &Sandbox, tar: Vec<u8>) -> Value {
    write(sandbox, tar);
    sandbox.store(["import", "--json", "--explain", "oci:layout"]).json()
}

/// Of each kind: the verdict, how often, and the first places.
fn kinds(document: &Value) -> BTreeMap<String, (String, u64, Vec<String>)> {
    let findings = document["findings"].as_array().expect("findings").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let one = |finding: &Value| {
        let paths = finding["paths"].as_array().expect("paths").iter().map(text).collect();
        (
            text(&finding["kind"]),
            (text(&finding["verdict"]), finding["count"].as_u64().expect("a count"), paths),
        )
    };
    findings.map(one).collect()
}

#[test]
fn every_normalisation_is_told_with_its_places() {
    let tar = RawTar::new()
        .entry(RawHeader::new(b'V', "label").gnu(), b"")
        .extended(b'g', &pax_text(&[("comment", b"724cd08")]))
        .dir("./")
        .dir("./usr")
        .file("./usr//a", b"x")
        .file("usr/slash/", b"x")
        .entry(RawHeader::new(0, "old/").field(257..265, b"").mode(0o755), b"")
        .entry(RawHeader::new(b'7', "contiguous").size(1), b"x")
        .entry(RawHeader::new(b'0', "mode").mode(0o100_644), b"")
        .records(&[("GNU.sparse.name", "sparse"), ("GNU.sparse.size", "10"), ("GNU.sparse.map", "4,2")])
        .file("x", b"ab")
        .records(&[("LIBARCHIVE.xattr.user.a", "eA==")])
        .file("attribute", b"")
        .file("no/such/folder", b"")
        .symlink("link", "usr")
        .file("link/through", b"")
        .file(".wh..wh.plnk/1.2", b"")
        .cut();
    let found = kinds(&explained(&Sandbox::with_repository(), tar));
    let normalised = |count: u64, paths: &[&str]| {
        ("normalised".to_owned(), count, paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
    };
    for (kind, wanted) in [
        ("path", normalised(2, &["usr", "usr/a"])),
        ("file-slash", normalised(1, &["usr/slash"])),
        ("old-directory", normalised(1, &["old"])),
        ("contiguous", normalised(1, &["contiguous"])),
        ("sparse", normalised(1, &["sparse"])),
        ("mode", normalised(1, &["mode"])),
        ("libarchive-xattr", normalised(1, &["attribute"])),
        ("global-header", normalised(1, &[])),
        ("volume-label", normalised(1, &[])),
        ("implicit-directory", normalised(2, &["no", "no/such"])),
        ("followed-symlink", normalised(1, &["link"])),
        ("aufs", normalised(1, &[".wh..wh.plnk/1.2"])),
        ("no-end", normalised(1, &[])),
    ] {
        assert_eq!(found.get(kind), Some(&wanted), "{kind}");
    }
    assert_eq!(found.len(), 13, "{found:?}");
}

#[test]
fn an_ambiguity_is_told_where_it_is_accepted_and_where_it_is_refused() {
    let tar = || RawTar::new().file("a", b"1").file("a", b"2").end();
    let sandbox = Sandbox::with_repository();
    let found = kinds(&explained(&sandbox, tar()));
    let wanted = ("accepted".to_owned(), 1, vec!["a".to_owned()]);
    assert_eq!(found, [("duplicate-path".to_owned(), wanted)].into());
    let strict = ["import", "--json", "--explain", "--oddities=refuse", "oci:layout"];
    let refused = sandbox.store(strict);
    let document: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!((refused.code, &document["error"], &document["rule"]), (3, &json!("layer"), &json!("strict")));
    assert_eq!((&document["path"], &document["offset"]), (&json!("a"), &json!(1024)));
    assert!(document["reason"].as_str().expect("a reason").contains("more than once"), "{document}");
}

#[test]
fn people_get_a_table_and_hear_what_was_not_read() {
    let sandbox = Sandbox::with_repository();
    write(&sandbox, RawTar::new().file("./a", b"1").file("a", b"2").end());
    let first = sandbox.store(["import", "--explain", "oci:layout"]).succeeds();
    for part in ["accepted", "duplicate-path", "normalised", "path", "fall away"] {
        assert!(first.contains(part), "{part} is not in\n{first}");
    }
    let again = sandbox.store(["import", "--explain", "oci:layout"]).succeeds();
    assert!(again.contains("not read: 1 layer") && !again.contains("duplicate-path"), "{again}");
    let all = sandbox.store(["import", "--explain", "--verify-existing", "oci:layout"]).succeeds();
    assert!(all.contains("duplicate-path"), "{all}");
    // Without being asked, warnings alone.
    let plain = sandbox.store(["import", "--verify-existing", "oci:layout"]).succeeds();
    assert!(plain.contains("warning:") && !plain.contains("fall away"), "{plain}");
}

#[test]
fn what_is_told_has_a_bound() {
    let twice = |tar: RawTar, number| tar.file(format!("./f{number}"), b"").file(format!("f{number}"), b"");
    let tars = [0, 1].map(|layer| (layer * 700..(layer + 1) * 700).fold(RawTar::new(), twice).end());
    let sandbox = Sandbox::with_repository();
    let image = tars.into_iter().fold(Image::new(), |image, tar| image.tar(tar, Compression::None));
    image.write(&sandbox.path("layout"));
    let document = sandbox.store(["import", "--json", "--explain", "oci:layout"]).json();
    let findings = document["findings"].as_array().expect("findings");
    let accepted = findings.iter().filter(|finding| finding["verdict"] == "accepted").count() as u64;
    let omitted = document["findings_omitted"].as_u64().expect("a count");
    assert_eq!((accepted, omitted), (1024, 1400 - 1024));
    let paths = findings.iter().filter(|finding| finding["kind"] == "path");
    let told: Vec<_> =
        paths.map(|path| (path["count"].clone(), path["paths"].as_array().unwrap().len())).collect();
    assert_eq!(told, [(json!(700), 8), (json!(700), 8)]);
}
