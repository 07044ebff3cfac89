//! Names: what is normalised, and what is refused.

use sealstone_import::tar::{Kind, Reason, Strictness, Warning};

use crate::kit::{Header, Tar, paths, read, read_with, refusal, tree, tree_refusal};

fn long_name(len: usize) -> String {
    "n".repeat(len)
}

#[test]
fn absolute_paths_and_leading_dots_are_relative_to_the_root() {
    let tar = Tar::new().file("/usr/abs", b"").file("./usr/x", b"").file("usr/y", b"").end();
    assert_eq!(paths(&tar), ["usr/abs", "usr/x", "usr/y"]);
}

#[test]
fn double_slashes_and_dots_inside_are_dropped() {
    assert_eq!(paths(&Tar::new().file("a//b", b"").file("a/./c", b"").end()), ["a/b", "a/c"]);
}

#[test]
fn dot_dot_is_refused_wherever_it_stands() {
    for path in ["usr/../../etc/passwd", "..", "usr/..", "../x", "a/.."] {
        assert!(
            matches!(refusal(&Tar::new().file(path, b"").end()), Reason::Name { what: "path", .. }),
            "{path}"
        );
    }
    let tar = Tar::new().hardlink("a", "usr/../b").end();
    assert!(matches!(refusal(&tar), Reason::Name { what: "hardlink target", .. }));
}

#[test]
fn dot_dot_as_a_directory_does_not_rewrite_the_root() {
    // composefs-oci 0.9.4 sets the root's owner from `usr/..`.
    assert!(matches!(tree_refusal(&Tar::new().dir("usr").dir("usr/..").end()), Reason::Name { .. }));
}

#[test]
fn lenient_readers_clamp_dot_dot_at_the_root() {
    let tar = Tar::new().file("usr/../../etc/passwd", b"").end();
    let (seen, warnings) = read_with(&tar, Strictness::Lenient).unwrap();
    assert_eq!(seen[0].entry.path(), b"etc/passwd");
    assert_eq!(warnings, [Warning::ParentInPath { path: b"etc/passwd"[..].into() }]);
    let tar = Tar::new().hardlink("a", "usr/../b").end();
    let (seen, warnings) = read_with(&tar, Strictness::Lenient).unwrap();
    assert_eq!(seen[0].entry.link_target(), b"b");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn symlink_targets_are_kept_as_they_are() {
    let tar = Tar::new().symlink("a", "../../../etc//./passwd").end();
    assert_eq!(read(&tar)[0].entry.link_target(), b"../../../etc//./passwd");
}

#[test]
fn an_empty_name_is_refused() {
    assert!(matches!(refusal(&Tar::new().file("", b"").end()), Reason::Name { problem: "is empty", .. }));
}

#[test]
fn an_empty_symlink_target_is_refused() {
    assert!(matches!(
        refusal(&Tar::new().symlink("a", "").end()),
        Reason::Name { what: "symlink target", .. }
    ));
}

#[test]
fn a_trailing_slash_on_a_file_is_dropped() {
    let seen = read(&Tar::new().file("usr/file/", b"x").end());
    assert_eq!((seen[0].entry.path(), seen[0].entry.kind()), (&b"usr/file"[..], Kind::File));
}

#[test]
fn a_v7_entry_with_a_trailing_slash_is_a_directory() {
    // Tars of Version 7 have no type for directories (composefs-oci makes a regular file of it).
    let tar = Tar::new().entry(Header::new(0, "old/dir/").v7().mode(0o755), b"").file("x", b"").end();
    assert_eq!(read(&tar)[0].entry.kind(), Kind::Directory);
    let tar = Tar::new().entry(Header::new(0, "old/file").v7(), b"").end();
    assert_eq!(read(&tar)[0].entry.kind(), Kind::File);
}

#[test]
fn nul_in_a_pax_path_is_refused() {
    let tar = Tar::new().pax(&[("path", b"a\0b")]).file("x", b"").end();
    assert!(matches!(refusal(&tar), Reason::Name { what: "path", .. }));
    let tar = Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("x", "y").end();
    assert!(matches!(refusal(&tar), Reason::Name { what: "symlink target", .. }));
    let tar = Tar::new().pax(&[("linkpath", b"a\0b")]).hardlink("x", "y").end();
    assert!(matches!(refusal(&tar), Reason::Name { what: "hardlink target", .. }));
}

#[test]
fn components_end_at_255_bytes() {
    let name = long_name(255);
    assert_eq!(paths(&Tar::new().pax(&[("path", name.as_bytes())]).file("x", b"").end()), [name]);
    for len in [256, 300] {
        let tar = Tar::new().pax(&[("path", long_name(len).as_bytes())]).file("x", b"").end();
        assert!(matches!(refusal(&tar), Reason::TooBig { limit: 255, .. }), "{len}");
    }
}

#[test]
fn paths_end_at_4095_bytes() {
    // 15 components of 255 bytes and one of the rest: 15 × 256 + 255 = 4,095.
    for (last, is_taken) in [(255, true), (256, false)] {
        let path = format!("{}{}", format!("{}/", long_name(255)).repeat(15), long_name(last));
        let path = if last == 256 { path.replacen("n/", "/n/", 1) } else { path };
        let tar = Tar::new().pax(&[("path", path.as_bytes())]).file("x", b"").end();
        assert_eq!(read_with(&tar, Strictness::Normal).is_ok(), is_taken, "{}", path.len());
    }
}

#[test]
fn paths_end_at_1024_components() {
    for (depth, is_taken) in [(1024, true), (1025, false)] {
        let path = vec!["d"; depth].join("/");
        let tar = Tar::new().pax(&[("path", path.as_bytes())]).file("x", b"").end();
        assert_eq!(read_with(&tar, Strictness::Normal).is_ok(), is_taken, "{depth}");
    }
}

#[test]
fn symlink_targets_end_at_4095_bytes() {
    for (len, is_taken) in [(4095, true), (4096, false)] {
        let target = long_name(len);
        let tar = Tar::new().pax(&[("linkpath", target.as_bytes())]).symlink("x", "y").end();
        assert_eq!(read_with(&tar, Strictness::Normal).is_ok(), is_taken, "{len}");
    }
}

#[test]
fn names_that_are_not_utf_8_stay_as_they_are() {
    let tar = Tar::new().entry(Header::new(b'0', b"\xff\xfe/caf\xe9"), b"").end();
    assert_eq!(read(&tar)[0].entry.path(), b"\xff\xfe/caf\xe9");
    assert_eq!(tree(&tar), ["\\xff\\xfe dir?", "\\xff\\xfe/caf\\xe9 file "]);
}

#[test]
fn the_prefix_of_ustar_comes_before_the_name() {
    let header = Header::new(b'0', "name").field(345..500, b"some/prefix");
    assert_eq!(paths(&Tar::new().entry(header.clone(), b"").end()), ["some/prefix/name"]);
    // Version 7 has no such field.
    assert_eq!(paths(&Tar::new().entry(header.v7(), b"").end()), ["name"]);
}

#[test]
fn gnu_times_are_no_prefix_unless_they_are_no_numbers() {
    let header =
        Header::new(b'0', "name").gnu().octal(345..357, 1_700_000_000).octal(357..369, 1_700_000_000);
    assert_eq!(paths(&Tar::new().entry(header, b"").end()), ["name"]);
    // What Go before 1.8 wrote, and reads to this day.
    let header = Header::new(b'0', "name").gnu().field(345..500, b"some/prefix");
    assert_eq!(paths(&Tar::new().entry(header, b"").end()), ["some/prefix/name"]);
}

#[test]
fn star_has_a_shorter_prefix() {
    let header =
        Header::new(b'0', "name").field(345..476, b"pre").octal(476..488, 1).field(508..512, b"tar\0");
    assert_eq!(paths(&Tar::new().entry(header, b"").end()), ["pre/name"]);
}
