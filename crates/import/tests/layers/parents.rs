//! Directories that are missing, symlinked, replaced or given twice.

use sealstone_import::Limits;
use sealstone_import::layer_tree::LayerTreeBuilder;
use sealstone_import::tar::{Item, Reader, Reason, Strictness, Warning};
use sealstone_store::Algorithm;

use crate::kit::{Header, Tar, build, tree, tree_refusal, tree_warnings};

#[test]
fn missing_parents_are_implicit() {
    let (tree, warnings) = build(&Tar::new().file("usr/x/y/z", b"1").end(), Strictness::Strict).unwrap();
    assert_eq!(crate::kit::lines(&tree), ["usr dir?", "usr/x dir?", "usr/x/y dir?", "usr/x/y/z file 1"]);
    let metadata = tree.root().children().next().unwrap().inode().unwrap().metadata();
    assert_eq!((metadata.mode, metadata.uid, metadata.gid, metadata.mtime.sec), (0o755, 0, 0, 0));
    assert_eq!(warnings, []);
}

#[test]
fn a_later_entry_makes_a_directory_explicit() {
    let directory = Header::new(b'5', "a").mode(0o750);
    let tar = Tar::new().file("a/b", b"").entry(directory, b"").end();
    let (tree, warnings) = build(&tar, Strictness::Strict).unwrap();
    assert_eq!(crate::kit::lines(&tree), ["a dir", "a/b file "]);
    assert_eq!(tree.root().children().next().unwrap().inode().unwrap().metadata().mode, 0o750);
    assert_eq!(warnings, []);
}

#[test]
fn a_symlink_of_the_same_layer_is_followed() {
    let tar = Tar::new().dir("usr/a").symlink("lib", "usr/a").file("lib/thru", b"x").end();
    assert_eq!(tree(&tar), ["lib -> usr/a", "usr dir?", "usr/a dir", "usr/a/thru file x"]);
}

#[test]
fn a_symlink_to_what_only_a_lower_layer_has_leads_to_an_implicit_directory() {
    let tar = Tar::new().symlink("lib", "/usr/lower").file("lib/thru", b"x").end();
    assert_eq!(tree(&tar), ["lib -> /usr/lower", "usr dir?", "usr/lower dir?", "usr/lower/thru file x"]);
}

#[test]
fn a_symlink_of_a_lower_layer_cannot_be_seen_and_becomes_a_directory() {
    assert_eq!(tree(&Tar::new().file("link/thru", b"x").end()), ["link dir?", "link/thru file x"]);
}

#[test]
fn symlinked_parents_stay_inside_the_root() {
    let tar = Tar::new().symlink("out", "../../../../etc").file("out/passwd", b"x").end();
    assert_eq!(tree(&tar), ["etc dir?", "etc/passwd file x", "out -> ../../../../etc"]);
    let tar = Tar::new().symlink("d/out", "..").file("d/out/f", b"x").end();
    assert_eq!(tree(&tar), ["d dir?", "d/out -> ..", "f file x"]);
}

#[test]
fn symlinks_are_followed_forty_times() {
    let chain = |len: usize| {
        let mut tar = Tar::new().symlink("l0", "d");
        for index in 1..len {
            tar = tar.symlink(format!("l{index}"), format!("l{}", index - 1));
        }
        tar.file(format!("l{}/f", len - 1), b"").end()
    };
    assert!(tree(&chain(40)).contains(&"d/f file ".to_owned()));
    assert_eq!(tree_refusal(&chain(41)), Reason::SymlinkLoop);
    assert_eq!(tree_refusal(&Tar::new().symlink("a", "a").file("a/f", b"").end()), Reason::SymlinkLoop);
}

#[test]
fn the_work_of_following_symlinks_is_bounded() {
    // 40 symlinks of 2,000 components each would be 80,000 steps an entry.
    let target = "x/../".repeat(800);
    let mut tar = Tar::new();
    for index in 0..40 {
        let target = format!("{target}l{}", index + 1);
        tar = tar.pax(&[("linkpath", target.as_bytes())]).symlink(format!("l{index}"), "-");
    }
    assert_eq!(tree_refusal(&tar.file("l0/f", b"").end()), Reason::SymlinkLoop);
}

#[test]
fn the_depth_of_a_tree_is_bounded_also_through_symlinks() {
    let deep = vec!["d"; 600].join("/");
    let tar = Tar::new().pax(&[("linkpath", deep.as_bytes())]).symlink("s", "-");
    let tar = tar.pax(&[("path", format!("s/{deep}").as_bytes())]).file("-", b"").end();
    assert!(matches!(tree_refusal(&tar), Reason::TooBig { what: "components in a path", limit: 1024 }));
}

#[test]
fn a_parent_that_is_a_file_is_refused() {
    for tar in [Tar::new().file("a", b""), Tar::new().hardlink("a", "lower")] {
        assert_eq!(tree_refusal(&tar.file("a/b", b"").end()), Reason::Parent(b"a"[..].into()));
    }
}

#[test]
fn of_duplicate_paths_the_last_wins() {
    let tar = Tar::new().file("a", b"1").file("a", b"2").end();
    assert_eq!(tree(&tar), ["a file 2"]);
    assert_eq!(tree_warnings(&tar), [Warning::DuplicatePath { path: b"a"[..].into() }]);
    assert!(matches!(build(&tar, Strictness::Strict).unwrap_err().reason(), Reason::Strict(_)));
}

#[test]
fn of_duplicate_directories_the_last_ones_metadata_count_and_children_stay() {
    let tar = Tar::new().dir("a").file("a/b", b"").entry(Header::new(b'5', "a").mode(0o711), b"").end();
    let (tree, warnings) = build(&tar, Strictness::Normal).unwrap();
    assert_eq!(crate::kit::lines(&tree), ["a dir", "a/b file "]);
    assert_eq!(tree.root().children().next().unwrap().inode().unwrap().metadata().mode, 0o711);
    assert_eq!(warnings, [Warning::DuplicatePath { path: b"a"[..].into() }]);
}

#[test]
fn a_file_replaces_a_directory_with_all_below() {
    let tar = Tar::new().file("a/b/c", b"").file("a", b"x").end();
    assert_eq!(tree(&tar), ["a file x"]);
    assert_eq!(tree_warnings(&tar), [Warning::ReplacedDirectory { path: b"a"[..].into() }]);
    let tar = Tar::new().file("a/b", b"old").file("a", b"x").dir("a").file("a/c", b"new").end();
    assert_eq!(tree(&tar), ["a dir", "a/c file new"], "what was in the first directory stays gone");
}

#[test]
fn a_directory_replaces_a_file_and_a_symlink() {
    assert_eq!(tree(&Tar::new().file("a", b"x").dir("a").file("a/b", b"").end()), ["a dir", "a/b file "]);
    let tar = Tar::new().dir("t").symlink("a", "t").file("a/1", b"").dir("a").file("a/2", b"").end();
    assert_eq!(tree(&tar), ["a dir", "a/2 file ", "t dir", "t/1 file "]);
}

#[test]
fn a_retargeted_symlink_leads_later_entries_elsewhere() {
    let tar = Tar::new().symlink("s", "a").file("s/1", b"").symlink("s", "b").file("s/2", b"").end();
    assert_eq!(tree(&tar), ["a dir?", "a/1 file ", "b dir?", "b/2 file ", "s -> b"]);
}

#[test]
fn implicit_directories_count_as_entries() {
    let mut limits = Limits::default();
    limits.entries = 10;
    let deep = |depth: usize| {
        let tar = Tar::new().pax(&[("path", vec!["d"; depth].join("/").as_bytes())]).file("x", b"").end();
        let mut reader = Reader::new(limits.clone(), Strictness::Normal);
        let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, limits.clone(), Strictness::Normal);
        let mut input = &tar[..];
        assert_eq!(reader.next(&mut input).unwrap().item, Item::Entry);
        builder.add(reader.entry()).map(|_| ()).map_err(|refusal| refusal.reason().clone())
    };
    assert_eq!(deep(10), Ok(()));
    assert!(matches!(deep(11), Err(Reason::TooBig { limit: 10, .. })));
}
