//! Types of entries: which become what, and which are refused.

use sealstone_import::tar::{Kind, Reason, Strictness, Warning};

use crate::kit::{Header, Tar, paths, read, read_with, refusal, tree, tree_refusal, warnings};

#[test]
fn contiguous_files_are_files() {
    let seen = read(&Tar::new().entry(Header::new(b'7', "a").size(3), b"abc").end());
    assert_eq!((seen[0].entry.kind(), &seen[0].body[..]), (Kind::File, &b"abc"[..]));
}

#[test]
fn the_old_type_of_files_is_a_nul() {
    let seen = read(&Tar::new().entry(Header::new(0, "a").size(3), b"abc").end());
    assert_eq!((seen[0].entry.kind(), &seen[0].body[..]), (Kind::File, &b"abc"[..]));
}

#[test]
fn unknown_types_are_refused() {
    for typeflag in [b'8', b'9', b'A', b'M', b'N', b'D', b'Z', b's', b' ', 0xff] {
        assert_eq!(refusal(&Tar::new().entry(Header::new(typeflag, "a"), b"").end()), Reason::Type(typeflag));
    }
}

#[test]
fn volume_labels_are_skipped() {
    let tar = Tar::new().entry(Header::new(b'V', "my backup").gnu(), b"").file("a", b"").end();
    assert_eq!(paths(&tar), ["a"]);
    let with_body = Tar::new().entry(Header::new(b'V', "label").gnu().size(3), b"abc").end();
    assert_eq!(refusal(&with_body), Reason::Type(b'V'));
}

#[test]
fn solaris_extended_headers_are_read_as_pax() {
    let tar = Tar::new().extended(b'X', &crate::kit::pax_text(&[("path", b"long")])).file("x", b"").end();
    assert_eq!(paths(&tar), ["long"]);
}

#[test]
fn entries_without_a_body_have_no_size_and_hide_nothing() {
    // A reader that skips the stated size does not see `hidden`; Go and GNU tar do, and so must we.
    for typeflag in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let header = Header::new(typeflag, "a").size(512).link("target").device(1, 3);
        let tar = Tar::new().entry(header, b"").file("hidden", b"").end();
        assert_eq!(paths(&tar), ["a", "hidden"], "type {typeflag}");
        assert_eq!(read(&tar)[0].entry.size(), 0);
        assert_eq!(warnings(&tar), [Warning::SizeIgnored { path: b"a"[..].into() }]);
        assert!(matches!(read_with(&tar, Strictness::Strict).unwrap_err().reason(), Reason::Strict(_)));
        let by_pax =
            Tar::new().pax(&[("size", b"512")]).entry(Header::new(typeflag, "a").link("t").device(1, 3), b"");
        assert_eq!(paths(&by_pax.file("hidden", b"").end()), ["a", "hidden"], "type {typeflag}");
    }
}

#[test]
fn v7_directories_have_no_size_either() {
    let tar = Tar::new().entry(Header::new(0, "a/").v7().size(512), b"").file("hidden", b"").end();
    assert_eq!(paths(&tar), ["a", "hidden"]);
}

#[test]
fn a_hardlink_with_a_real_body_is_refused() {
    // pax `-o linkdata` writes the content again; it is no header, so nothing can be smuggled past anyone.
    let tar = Tar::new().file("a", b"data").entry(Header::new(b'1', "b").link("a").size(4), b"data").end();
    assert_eq!(refusal(&tar), Reason::Checksum);
}

#[test]
fn the_root_entry_sets_the_root() {
    let (tree_of, _) = crate::kit::build(
        &Tar::new().entry(Header::new(b'5', "./").mode(0o700), b"").end(),
        Strictness::Normal,
    )
    .unwrap();
    assert!(!tree_of.root().is_implicit());
    assert_eq!(tree_of.root().inode().unwrap().metadata().mode, 0o700);
    let (tree_of, _) = crate::kit::build(&Tar::new().file("a", b"").end(), Strictness::Normal).unwrap();
    assert!(tree_of.root().is_implicit());
    assert_eq!(tree_of.root().inode().unwrap().metadata().mode, 0o755);
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    // CVE-2021-29136: umoci followed a symlink in the root's place.
    assert_eq!(tree_refusal(&Tar::new().symlink(".", "/etc").end()), Reason::Root);
    assert_eq!(tree_refusal(&Tar::new().file("./", b"x").end()), Reason::Root);
    assert_eq!(tree_refusal(&Tar::new().file("a", b"").hardlink("/", "a").end()), Reason::Root);
}

#[test]
fn a_layer_without_usr_is_a_layer() {
    assert_eq!(tree(&Tar::new().file("hello", b"static").end()), ["hello file static"]);
}

#[test]
fn contents_of_run_proc_sys_and_dev_are_kept() {
    let tar = Tar::new().file("run/a", b"").file("proc/b", b"").file("sys/c", b"").file("dev/d", b"").end();
    assert_eq!(tree(&tar).len(), 8);
}
