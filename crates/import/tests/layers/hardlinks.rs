//! Hardlinks within a layer and into lower ones.

use sealstone_import::tar::{Reason, Strictness, Warning};

use crate::kit::{Header, Tar, build, tree, tree_refusal, tree_warnings};

fn problem(tar: &[u8]) -> String {
    match tree_refusal(tar) {
        Reason::Hardlink { target, problem } => format!("{} {problem}", target.escape_ascii()),
        other => panic!("{other}"),
    }
}

#[test]
fn links_of_one_layer_share_the_inode() {
    let (tree, warnings) =
        build(&Tar::new().file("a", b"x").hardlink("b", "a").hardlink("c", "./b").end(), Strictness::Strict)
            .unwrap();
    let inodes: Vec<_> = tree.root().children().map(|entry| entry.inode().unwrap().index()).collect();
    assert_eq!((inodes, tree.inode_count()), (vec![1, 1, 1], 2));
    assert_eq!(warnings, []);
}

#[test]
fn a_link_to_a_path_of_a_lower_layer_stays_a_link() {
    assert_eq!(tree(&Tar::new().hardlink("a/b", "/usr/lower").end()), ["a dir?", "a/b link to usr/lower"]);
}

#[test]
fn a_link_to_such_a_link_has_the_same_target() {
    let tar = Tar::new().hardlink("a", "lower").hardlink("b", "a").end();
    assert_eq!(tree(&tar), ["a link to lower", "b link to lower"]);
}

#[test]
fn a_link_to_a_symlink_is_another_name_of_the_symlink() {
    let tar = Tar::new().symlink("s", "anywhere").hardlink("h", "s").end();
    assert_eq!(tree(&tar), ["h -> anywhere", "s -> anywhere"]);
}

#[test]
fn a_link_to_a_directory_is_refused() {
    assert_eq!(problem(&Tar::new().dir("d").hardlink("h", "d").end()), "d is a directory");
    assert_eq!(problem(&Tar::new().file("d/f", b"").hardlink("h", "d").end()), "d is a directory");
    assert_eq!(problem(&Tar::new().hardlink("h", "d").dir("d").end()), "d is a directory");
    assert_eq!(problem(&Tar::new().hardlink("h", "/").end()), " is the root");
}

#[test]
fn a_link_to_what_comes_later_is_refused() {
    assert_eq!(problem(&Tar::new().hardlink("h", "f").file("f", b"").end()), "f comes later in the layer");
    let tar = Tar::new().hardlink("h", "lib/f").symlink("lib", "usr").file("usr/f", b"").end();
    assert_eq!(problem(&tar), "lib/f comes later in the layer");
}

#[test]
fn a_link_to_itself_is_refused() {
    assert_eq!(problem(&Tar::new().file("f", b"").hardlink("f", "f").end()), "f is the link itself");
    assert_eq!(problem(&Tar::new().hardlink("f", "f").end()), "f comes later in the layer");
}

#[test]
fn a_link_to_what_a_whiteout_of_the_layer_removes_is_refused() {
    let removed = "is removed by a whiteout of the same layer";
    for tar in [
        Tar::new().file("usr/.wh.a", b"").hardlink("h", "usr/a"),
        Tar::new().hardlink("h", "usr/a").file("usr/.wh.a", b""),
        Tar::new().hardlink("h", "usr/a").file(".wh.usr", b""),
        Tar::new().hardlink("h", "usr/a").file("usr/.wh..wh..opq", b""),
        Tar::new().hardlink("h", "usr/a").dir("usr").file("usr/.wh..wh..opq", b""),
        Tar::new().hardlink("h", "usr/a").file(".wh..wh..opq", b""),
    ] {
        assert_eq!(problem(&tar.end()), format!("usr/a {removed}"));
    }
    // Another whiteout in the same directory does no harm.
    assert!(
        build(&Tar::new().hardlink("h", "usr/a").file("usr/.wh.b", b"").end(), Strictness::Normal).is_ok()
    );
}

#[test]
fn a_links_target_is_resolved_inside_the_layer() {
    let tar = Tar::new().file("usr/lib/f", b"x").symlink("lib", "/usr/lib").hardlink("h", "lib/f").end();
    assert_eq!(tree(&tar)[0], "h file x");
    let tar = Tar::new().file("f", b"x").symlink("up", "../../..").hardlink("h", "up/f").end();
    assert_eq!(tree(&tar)[1], "h file x", "symlinks stay inside the root");
}

#[test]
fn a_links_target_below_a_file_is_refused() {
    let tar = Tar::new().file("f", b"").hardlink("h", "f/x").end();
    assert_eq!(problem(&tar), "f/x leads through something that is not a directory");
}

#[test]
fn a_links_own_metadata_is_ignored_with_a_warning() {
    let header = Header::new(b'1', "h").link("f").mode(0o777).octal(108..116, 9);
    let tar = Tar::new().file("f", b"x").entry(header, b"").end();
    assert_eq!(tree_warnings(&tar), [Warning::HardlinkMetadata { path: b"h"[..].into() }]);
    let (tree, _) = build(&tar, Strictness::Strict).unwrap();
    let metadata = tree.root().children().next().unwrap().inode().unwrap().metadata();
    assert_eq!((metadata.mode, metadata.uid), (0o644, 0));
    let tar = Tar::new().file("f", b"x").pax(&[("SCHILY.xattr.user.a", b"1")]).hardlink("h", "f").end();
    assert_eq!(tree_warnings(&tar), [Warning::HardlinkMetadata { path: b"h"[..].into() }]);
}

#[test]
fn a_link_outlives_the_name_it_was_made_from() {
    let tar = Tar::new().file("d/f", b"x").hardlink("h", "d/f").file("d/f", b"y").end();
    assert_eq!(tree(&tar), ["d dir?", "d/f file y", "h file x"]);
    let tar = Tar::new().file("d/f", b"x").hardlink("d", "d/f").end();
    assert_eq!(tree(&tar), ["d file x"]);
}

#[test]
fn a_link_in_auf_s_own_folders_is_refused() {
    assert_eq!(
        problem(&Tar::new().hardlink("h", ".wh..wh.plnk/1.2").end()),
        ".wh..wh.plnk/1.2 is a whiteout's name"
    );
}
