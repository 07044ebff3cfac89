//! Whiteouts: they hide what lower layers have, never what their own layer has.

use sealstone_import::tar::{Reason, Warning};

use crate::kit::{Header, Tar, tree, tree_refusal, tree_warnings};

/// The tree of these entries, which must not depend on their order.
fn in_any_order(entries: &[fn(Tar) -> Tar]) -> Vec<String> {
    let build = |entries: &mut dyn Iterator<Item = &fn(Tar) -> Tar>| {
        tree(&entries.fold(Tar::new(), |tar, entry| entry(tar)).end())
    };
    let forward = build(&mut entries.iter());
    assert_eq!(forward, build(&mut entries.iter().rev()));
    for turn in 1..entries.len() {
        assert_eq!(forward, build(&mut entries.iter().cycle().skip(turn).take(entries.len())));
    }
    forward
}

#[test]
fn a_whiteout_keeps_its_own_layers_file() {
    let lines = in_any_order(&[|tar| tar.file("a/new", b"x"), |tar| tar.file("a/.wh.new", b"")]);
    assert_eq!(lines, ["a dir?", "a/new file x over whiteout"]);
}

#[test]
fn an_opaque_marker_keeps_its_own_layers_files() {
    let lines = in_any_order(&[
        |tar| tar.file("a/new", b"x"),
        |tar| tar.dir("a"),
        |tar| tar.file("a/.wh..wh..opq", b""),
    ]);
    assert_eq!(lines, ["a dir opaque", "a/new file x"]);
}

#[test]
fn a_whiteout_of_a_directory_leaves_the_layers_own_one() {
    let lines = in_any_order(&[|tar| tar.file("a/b", b"x"), |tar| tar.file(".wh.a", b"")]);
    assert_eq!(lines, ["a dir? over whiteout", "a/b file x"]);
}

#[test]
fn a_whiteout_alone_is_an_entry_of_its_own() {
    assert_eq!(tree(&Tar::new().dir("a").file("a/.wh.b", b"").end()), ["a dir", "a/b whiteout"]);
}

#[test]
fn a_whiteout_makes_no_directory() {
    // containers/storage creates `nope`, composefs-oci fails.
    assert_eq!(
        tree(&Tar::new().file("nope/deep/.wh.x", b"").end()),
        ["nope passage", "nope/deep passage", "nope/deep/x whiteout"]
    );
    assert_eq!(tree(&Tar::new().file("nope/.wh..wh..opq", b"").end()), ["nope passage opaque"]);
}

#[test]
fn an_entry_beside_a_whiteout_makes_the_directory() {
    let lines = in_any_order(&[|tar| tar.file("a/b/.wh.x", b""), |tar| tar.file("a/c", b"")]);
    assert_eq!(lines, ["a dir?", "a/b passage", "a/b/x whiteout", "a/c file "]);
}

#[test]
fn whiteouts_below_a_whiteout_say_nothing() {
    let lines = in_any_order(&[|tar| tar.file(".wh.foo", b""), |tar| tar.file("foo/.wh.bar", b"")]);
    assert_eq!(lines, ["foo whiteout"]);
    let lines = in_any_order(&[|tar| tar.file(".wh.foo", b""), |tar| tar.file("foo/.wh..wh..opq", b"")]);
    assert_eq!(lines, ["foo whiteout"]);
}

#[test]
fn whiteouts_below_a_file_of_the_layer_say_nothing() {
    let lines = in_any_order(&[|tar| tar.file("foo", b"x"), |tar| tar.file("foo/.wh.bar", b"")]);
    assert_eq!(lines, ["foo file x"]);
}

#[test]
fn a_whiteout_may_come_twice() {
    assert_eq!(tree(&Tar::new().file(".wh.a", b"").file(".wh.a", b"").end()), ["a whiteout"]);
    assert_eq!(tree_warnings(&Tar::new().file(".wh.a", b"").file(".wh.a", b"").end()), []);
}

#[test]
fn a_whiteout_of_nothing_is_refused() {
    // containers/storage removes the whole parent directory, with success.
    assert!(matches!(tree_refusal(&Tar::new().file("a/.wh.", b"").end()), Reason::Whiteout(_)));
}

#[test]
fn a_whiteout_of_dot_or_dot_dot_is_refused() {
    for name in ["a/.wh..", "a/.wh...", ".wh..", ".wh..."] {
        assert!(matches!(tree_refusal(&Tar::new().file(name, b"").end()), Reason::Whiteout(_)), "{name}");
    }
    assert_eq!(tree(&Tar::new().file(".wh....", b"").end()), ["... whiteout"]);
}

#[test]
fn aufs_bookkeeping_is_skipped() {
    let tar = Tar::new()
        .file(".wh..wh.aufs", b"")
        .dir(".wh..wh.orph")
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/1.2", b"x");
    assert_eq!(tree(&tar.file("a", b"").end()), ["a file "]);
}

#[test]
fn the_name_decides_and_an_odd_whiteout_is_told() {
    for tar in [
        Tar::new().dir("a/.wh.b"),
        Tar::new().symlink("a/.wh.b", "x"),
        Tar::new().file("a/.wh.b", b"data"),
        Tar::new().hardlink("a/.wh.b", "x"),
        Tar::new().entry(Header::new(b'6', "a/.wh.b"), b""),
    ] {
        let tar = tar.end();
        assert_eq!(tree(&tar), ["a passage", "a/b whiteout"]);
        assert_eq!(tree_warnings(&tar), [Warning::OddWhiteout { path: b"a/.wh.b"[..].into() }]);
    }
}

#[test]
fn entries_below_a_whiteout_are_refused() {
    assert!(matches!(tree_refusal(&Tar::new().file(".wh.a/b", b"").end()), Reason::Whiteout(_)));
    // Also when a symlink leads there.
    let tar = Tar::new().symlink("s", ".wh.a").file("s/b", b"").end();
    assert!(matches!(tree_refusal(&tar), Reason::Whiteout(_)));
}

#[test]
fn an_explicit_directory_replaces_a_lower_symlink_and_hides_nothing_behind_it() {
    // The merge replaces a lower symlink `link` by this directory; its target is never touched.
    let lines = in_any_order(&[|tar| tar.dir("link"), |tar| tar.file("link/.wh..wh..opq", b"")]);
    assert_eq!(lines, ["link dir opaque"]);
}

#[test]
fn a_whiteout_behind_a_symlink_of_its_layer_counts_where_it_leads() {
    let lines = in_any_order(&[|tar| tar.symlink("lib", "usr/lib"), |tar| tar.file("lib/.wh.x", b"")]);
    assert_eq!(lines, ["lib -> usr/lib", "usr passage", "usr/lib passage", "usr/lib/x whiteout"]);
}

#[test]
fn the_root_can_be_opaque() {
    assert_eq!(
        tree(&Tar::new().file(".wh..wh..opq", b"").file("a", b"").end()),
        ["/ dir? opaque", "a file "]
    );
}
