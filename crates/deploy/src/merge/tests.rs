//! The rules of merging, one by one, and against a model that applies layers to a map in turn.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{Entry, dir, file, layer, link, listing, symlink, whiteout};

fn merged(layers: &[&[Entry]]) -> Result<Vec<String>, String> {
    let layers: Vec<LayerTree> = layers.iter().map(|entries| layer(entries)).collect();
    let layers: Vec<&LayerTree> = layers.iter().collect();
    merge(&layers).map(|tree| listing(&tree)[1..].to_vec()).map_err(|error| error.to_string())
}

/// Files and symlinks only, since most rules are about those.
fn files(layers: &[&[Entry]]) -> Vec<String> {
    merged(layers).unwrap().into_iter().filter(|line| !line.contains(" dir ")).collect()
}

#[test]
fn an_upper_file_replaces_a_lower_one_and_others_stay() {
    let lower = [dir("a", 0o755), file("a/x", "old"), file("a/y", "kept")];
    assert_eq!(files(&[&lower, &[file("a/x", "new")]]), ["/a/x file new", "/a/y file kept"]);
}

#[test]
fn a_whiteout_hides_what_is_below_and_never_its_own_layer() {
    let lower = [file("a/x", "old"), file("a/y/z", "old")];
    assert_eq!(files(&[&lower, &[whiteout("a/.wh.x"), whiteout("a/.wh.y")]]), Vec::<String>::new());
    assert_eq!(
        files(&[&lower, &[file("a/x", "new"), whiteout("a/.wh.x")]]),
        ["/a/x file new", "/a/y/z file old"]
    );
    let replaced = files(&[&lower, &[whiteout("a/.wh.y"), file("a/y/new", "new")]]);
    assert_eq!(replaced, ["/a/x file old", "/a/y/new file new"]);
    assert_eq!(files(&[&lower, &[whiteout("nope/.wh.x")]]), ["/a/x file old", "/a/y/z file old"]);
}

#[test]
fn a_whiteout_of_a_middle_layer_does_not_reach_the_top() {
    let (lower, upper) = ([file("a/x", "1")], [file("a/x", "3")]);
    assert_eq!(files(&[&lower, &[whiteout("a/.wh.x")], &upper]), ["/a/x file 3"]);
}

#[test]
fn an_opaque_folder_shows_only_its_own_layer_and_those_above() {
    let lower = [dir("a", 0o700), file("a/x", "1"), file("a/b/y", "1")];
    let opaque = [file("a/new", "2"), whiteout("a/.wh..wh..opq")];
    assert_eq!(
        merged(&[&lower, &opaque, &[file("a/top", "3")]]).unwrap(),
        ["/a dir 700 1:2 @0", "/a/new file 2", "/a/top file 3"]
    );
}

#[test]
fn an_implicit_folder_takes_its_attributes_from_below_and_else_is_plain() {
    let lower = [dir("a", 0o700), dir("a/b", 0o1777)];
    assert_eq!(
        merged(&[&lower, &[file("a/b/c/x", "")]]).unwrap(),
        ["/a dir 700 1:2 @0", "/a/b dir 1777 1:2 @1", "/a/b/c dir 755 0:0 @0", "/a/b/c/x file "]
    );
    let replaced = merged(&[&lower, &[whiteout(".wh.a"), file("a/x", "")]]).unwrap();
    assert_eq!(replaced, ["/a dir 755 0:0 @0", "/a/x file "]);
}

#[test]
fn an_explicit_folder_replaces_the_attributes_and_keeps_the_content() {
    let lower = [dir("a", 0o700), file("a/x", "")];
    assert_eq!(merged(&[&lower, &[dir("a", 0o750)]]).unwrap(), ["/a dir 750 1:2 @0", "/a/x file "]);
}

#[test]
fn folder_and_file_replace_each_other_across_layers() {
    assert_eq!(files(&[&[file("a/x", "1")], &[file("a", "2")]]), ["/a file 2"]);
    assert_eq!(files(&[&[file("a", "1")], &[file("a/x", "2")]]), ["/a/x file 2"]);
    assert_eq!(files(&[&[file("a/x", "1")], &[file("a", "2")], &[file("a/y", "3")]]), ["/a/y file 3"]);
}

#[test]
fn a_symlink_that_only_a_lower_layer_has_is_replaced_by_a_folder() {
    let lower = [dir("usr", 0o755), dir("usr/lib", 0o755), symlink("lib", "usr/lib")];
    assert_eq!(files(&[&lower, &[file("lib/x", "2")]]), ["/lib/x file 2"]);
}

#[test]
fn hardlinks_of_a_layer_share_an_inode_until_one_name_is_replaced() {
    let lower = [file("a", "1"), link("b", "a"), link("c", "a")];
    assert_eq!(files(&[&lower]), ["/a file 1 #0", "/b file 1 #0", "/c file 1 #0"]);
    assert_eq!(files(&[&lower, &[file("b", "2")]]), ["/a file 1 #0", "/b file 2", "/c file 1 #0"]);
}

#[test]
fn a_hardlink_to_a_lower_layer_is_one_to_the_merged_inode() {
    let lower = [file("d/a", "1"), symlink("l", "a"), symlink("e", "/d/../d")];
    assert_eq!(files(&[&lower, &[link("b", "d/a")]])[..2], ["/b file 1 #0", "/d/a file 1 #0"]);
    // Through a symlink on the way, and to a symlink itself.
    assert_eq!(files(&[&lower, &[link("b", "e/a")]])[..2], ["/b file 1 #0", "/d/a file 1 #0"]);
    assert_eq!(files(&[&lower, &[link("b", "l")]])[0], "/b -> a #0");
    // The name may go in a later layer, and a link may lead to a link.
    assert_eq!(
        files(&[&lower, &[link("b", "d/a")], &[link("c", "b"), whiteout("d/.wh.a")]])[..2],
        ["/b file 1 #0", "/c file 1 #0"]
    );
}

#[test]
fn a_hardlink_that_leads_nowhere_is_an_error_that_names_it() {
    let lower = [file("d/a", "1"), dir("f", 0o755), symlink("loop", "loop")];
    for (target, reason) in [
        ("gone", "missing"),
        ("f", "directory"),
        ("d/a/x", "no directory"),
        ("loop/x", "too many symbolic links"),
    ] {
        let error = merged(&[&lower, &[link("b", target)]]).unwrap_err();
        assert!(error.contains(target) && error.contains(reason) && error.contains("layer 1"), "{error}");
    }
    // What a layer in between removed is not there.
    assert!(merged(&[&lower, &[whiteout("d/.wh.a")], &[link("b", "d/a")]]).is_err());
}

#[test]
fn of_the_attributes_only_capabilities_stay() {
    let attribute = |path: &str, key: &str| Entry::Attribute(path.into(), key.into(), "v".into());
    let layer = layer(&[
        attribute("a", "security.selinux"),
        attribute("b", "security.capability"),
        attribute("c", "user.x"),
    ]);
    let tree = merge(&[&layer]).unwrap();
    let names = |path: &str| {
        let inode = tree.resolve(path.as_bytes()).unwrap();
        tree.xattrs(inode).map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names("a"), names("b"), names("c")),
        (vec![], vec!["security.capability".to_owned()], vec![])
    );
}

#[test]
fn no_layers_make_an_empty_root() {
    let tree = merge(&[]).unwrap();
    assert_eq!(listing(&tree), ["/ dir 755 0:0 @0"]);
}

/// What the model knows of a path: nothing but a text that says all.
type Model = BTreeMap<String, String>;

/// Applies a layer to the model: its whiteouts to what is there, then its entries in turn.
fn apply(model: &mut Model, entries: &[Entry]) {
    let below = |path: &str, other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let mut lower = std::mem::take(model);
    let mut own: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::File(path, _, _) if path.contains(".wh.") => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                let name = name.strip_prefix(".wh.").unwrap();
                let target = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
                match name {
                    ".wh..opq" => lower.retain(|other, _| !below(parent, other)),
                    _ => lower.retain(|other, _| *other != target && !below(&target, other)),
                }
            }
            Entry::File(path, _, text) => {
                own.retain(|other, _| !below(path, other));
                own.insert(path.clone(), (format!("file {text}"), true));
            }
            Entry::Dir(path, mode) => {
                own.insert(path.clone(), (format!("dir {mode:o}"), true));
            }
            _ => unreachable!("the model knows files and folders"),
        }
    }
    // Folders that nothing describes.
    for path in own.keys().cloned().collect::<Vec<_>>() {
        for (at, _) in path.match_indices('/') {
            own.entry(path[..at].to_owned()).or_insert(("dir 755".into(), false));
        }
    }
    for (path, (what, explicit)) in own {
        let is_dir = what.starts_with("dir");
        match lower.get(&path) {
            Some(there) if is_dir && there.starts_with("dir") && !explicit => continue,
            Some(there) if is_dir != there.starts_with("dir") => {
                lower.retain(|other, _| !below(&path, other));
            }
            _ => {}
        }
        lower.insert(path, what);
    }
    *model = lower;
}

/// Entries of a layer whose paths do not contradict each other: no folder that is also a file.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let path = "[abc](/[abc]){0,2}";
    let entry = (path, 0..6_u8, 0..3_u8);
    proptest::collection::vec(entry, 0..6).prop_map(|list| {
        let mut kept: Vec<Entry> = Vec::new();
        let mut paths: Vec<(String, bool)> = Vec::new();
        for (path, kind, n) in list {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let within = |name: String| if parent.is_empty() { name } else { format!("{parent}/{name}") };
            let new = match kind {
                0 => whiteout(&within(format!(".wh.{name}"))),
                1 if !parent.is_empty() => whiteout(&within(".wh..wh..opq".into())),
                2 | 3 => dir(&path, 0o700 + u32::from(n)),
                _ => file(&path, &n.to_string()),
            };
            let is_dir = matches!(new, Entry::Dir(..));
            if !matches!(&new, Entry::File(path, ..) if path.contains(".wh.")) {
                let clash = paths.iter().any(|(other, other_dir)| {
                    (other == &path)
                        || (!other_dir && path.starts_with(&format!("{other}/")))
                        || (!is_dir && other.starts_with(&format!("{path}/")))
                });
                if clash {
                    continue;
                }
                paths.push((path.clone(), is_dir));
            }
            kept.push(new);
        }
        kept
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn merging_equals_applying_one_layer_after_the_other(layers in proptest::collection::vec(entries(), 0..5)) {
        let mut model = Model::new();
        for entries in &layers {
            apply(&mut model, entries);
        }
        let expected: Vec<String> = model.iter().map(|(path, what)| format!("/{path} {what}")).collect();
        let trees: Vec<LayerTree> = layers.iter().map(|entries| layer(entries)).collect();
        let tree = merge(&trees.iter().collect::<Vec<_>>()).unwrap();
        let mut ours: Vec<String> = listing(&tree)[1..].to_vec();
        for line in &mut ours {
            // The model knows no owner and no time, and what an implicit folder has is said elsewhere.
            if let Some(at) = line.find(" dir ") {
                let mode_end = line[at + 5..].find(' ').unwrap() + at + 5;
                line.truncate(mode_end);
            }
        }
        let mut expected = expected;
        expected.sort();
        ours.sort();
        prop_assert_eq!(ours, expected);
    }
}
