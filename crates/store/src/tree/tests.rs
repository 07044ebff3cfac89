//! The tree of an image: links, sets, walks, resolution, and what it refuses.

use proptest::prelude::*;

use super::*;
use crate::Algorithm;

fn plain(mode: u16) -> Metadata {
    Metadata { mode, uid: 1, gid: 2, mtime: Timestamp { sec: 3, nsec: 4 } }
}

/// A tree made of paths: a trailing slash makes a directory, `a -> b` a symlink, anything else an empty file.
fn tree(paths: &[&str]) -> Tree {
    let mut tree = Tree::new(plain(0o755));
    for path in paths {
        let (path, target) = path.split_once(" -> ").map_or((*path, None), |(path, to)| (path, Some(to)));
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap();
        let content = match target {
            Some(target) => Content::Symlink(target.as_bytes()),
            None if path.ends_with('/') => Content::Directory,
            None => Content::Inline(b""),
        };
        let inode = tree.add(plain(0o644), content, XattrSet::EMPTY).unwrap();
        let parent = tree.resolve(parent.as_bytes()).unwrap();
        tree.link(parent, name.as_bytes(), inode).unwrap();
    }
    tree
}

fn names(tree: &Tree, path: &str) -> Vec<String> {
    let directory = tree.resolve(path.as_bytes()).unwrap();
    tree.entries(directory).map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect()
}

proptest! {
    #[test]
    fn entries_are_sorted_and_unique_whatever_order_they_came_in(
        wanted in proptest::collection::vec("[a-d]{1,3}", 0..60),
    ) {
        let mut tree = Tree::new(plain(0o755));
        let mut expected = std::collections::BTreeMap::new();
        for name in &wanted {
            let inode = tree.add(plain(0), Content::Fifo, XattrSet::EMPTY).unwrap();
            let linked = tree.link(tree.root(), name.as_bytes(), inode);
            match expected.entry(name.clone()) {
                std::collections::btree_map::Entry::Occupied(_) => {
                    prop_assert_eq!(linked, Err(TreeError::Duplicate(name.clone())));
                }
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(inode);
                    prop_assert_eq!(linked, Ok(()));
                }
            }
        }
        let found: Vec<_> = tree.entries(tree.root()).map(|(name, inode)| (name.to_vec(), inode)).collect();
        let sorted: Vec<_> = expected.into_iter().map(|(name, inode)| (name.into_bytes(), inode)).collect();
        prop_assert_eq!(found, sorted);
    }

    #[test]
    fn equal_attribute_sets_are_one_set(
        sets in proptest::collection::vec(proptest::collection::btree_map("[a-c]{1,2}", "[x-z]{0,2}", 0..4), 0..40),
    ) {
        let mut tree = Tree::new(plain(0));
        let mut seen = std::collections::HashMap::new();
        for set in sets {
            // Backwards, so that sorting is the table's work.
            let pairs: Vec<_> = set.iter().rev().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let id = tree.intern_xattrs(&pairs).unwrap();
            let read: Vec<_> = tree.xattrs_of(id).collect();
            prop_assert_eq!(read, pairs.into_iter().rev().collect::<Vec<_>>());
            prop_assert_eq!(*seen.entry(set).or_insert(id), id);
        }
        let empty = usize::from(!seen.contains_key(&std::collections::BTreeMap::new()));
        prop_assert_eq!(tree.xattr_set_count(), seen.len() + empty);
    }
}

#[test]
fn content_metadata_and_attributes_read_back() {
    let mut tree = Tree::new(plain(0o755));
    let xattrs = tree.intern_xattrs(&[(b"user.b", b"2"), (b"user.a", b"")]).unwrap();
    let objects = [Algorithm::Sha256, Algorithm::Sha512]
        .map(|algorithm| ObjectId::from_digest(algorithm, &[7; 64][..algorithm.digest_len()]).unwrap());
    for content in [
        Content::Directory,
        Content::Inline(b"small"),
        Content::External { object: objects[0], size: OBJECT_MAX },
        Content::External { object: objects[1], size: 0 },
        Content::Symlink(b"../there"),
        Content::CharDevice(0),
        Content::BlockDevice(u32::MAX),
        Content::Fifo,
        Content::Socket,
    ] {
        let metadata = Metadata { mode: 0o4755, uid: 5, gid: 6, mtime: Timestamp { sec: -7, nsec: 8 } };
        let inode = tree.add(Metadata { mode: 0o104_755, ..metadata }, content, xattrs).unwrap();
        assert_eq!(tree.content(inode), content);
        assert_eq!(tree.metadata(inode), metadata);
        assert_eq!(tree.xattrs(inode).get(b"user.b"), Some(&b"2"[..]));
        tree.set_metadata(inode, plain(0o1700));
        assert_eq!((tree.content(inode), tree.metadata(inode)), (content, plain(0o1700)));
        tree.set_xattrs(inode, XattrSet::EMPTY);
        assert_eq!(tree.xattrs(inode).count(), 0);
    }
}

#[test]
fn names_that_are_no_names_are_refused() {
    let mut tree = tree(&["/file"]);
    let file = tree.resolve(b"/file").unwrap();
    let root = tree.root();
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
        assert!(matches!(tree.link(root, name, file), Err(TreeError::Name(_))), "{name:?}");
    }
    assert!(matches!(tree.link(root, &[b'n'; 256], file), Err(TreeError::TooBig { limit: 255, .. })));
    assert_eq!(tree.link(root, &[b'n'; 255], file), Ok(()));
    assert!(matches!(tree.link(file, b"x", file), Err(TreeError::NotADirectory(_))));
    for xattrs in [&[(&b""[..], &b""[..])][..], &[(b"a\0", b"")]] {
        assert!(matches!(tree.intern_xattrs(xattrs), Err(TreeError::Name(_))));
    }
    assert!(matches!(
        tree.intern_xattrs(&[(b"b", b"1"), (b"a", b""), (b"b", b"")]),
        Err(TreeError::Duplicate(_))
    ));
    let names: Vec<_> = (0..=120_u8).map(|n| [n.max(1), b'x', n]).collect();
    let pairs: Vec<_> = names.iter().map(|name| (&name[1..2], &name[2..])).collect();
    assert!(matches!(tree.intern_xattrs(&pairs), Err(TreeError::TooBig { limit: 120, .. })));
    let value = vec![0; 65_536];
    assert!(matches!(tree.intern_xattrs(&[(b"a", &value)]), Err(TreeError::TooBig { limit: 65_535, .. })));
    assert!(matches!(
        tree.intern_xattrs(&[(b"a", &value[1..]), (b"bcd", &value[1..])]),
        Err(TreeError::TooBig { .. })
    ));
}

#[test]
fn contents_that_no_image_can_hold_are_refused() {
    let mut tree = tree(&[]);
    let object = ObjectId::from_digest(Algorithm::Sha256, &[1; 32]).unwrap();
    let mut add = |content| tree.add(plain(0), content, XattrSet::EMPTY);
    assert!(matches!(add(Content::External { object, size: OBJECT_MAX + 1 }), Err(TreeError::TooBig { .. })));
    assert!(matches!(add(Content::Symlink(&[b'x'; TARGET_MAX + 1])), Err(TreeError::TooBig { .. })));
    assert!(add(Content::Symlink(&[b'x'; TARGET_MAX])).is_ok());
    assert!(matches!(add(Content::Symlink(b"")), Err(TreeError::Target(_))));
    assert!(matches!(add(Content::Symlink(b"a\0")), Err(TreeError::Target(_))));
}

#[test]
fn a_directory_has_one_name_so_there_are_no_cycles() {
    let mut tree = tree(&["/a/", "/a/b/"]);
    let (root, a, b) = (tree.root(), tree.resolve(b"/a").unwrap(), tree.resolve(b"/a/b").unwrap());
    for (directory, inode) in [(b, a), (b, root), (root, b)] {
        assert!(matches!(tree.link(directory, b"again", inode), Err(TreeError::LinkedDirectory(_))));
    }
    assert_eq!(tree.unlink(a, b"b"), Some(b));
    assert_eq!(tree.unlink(a, b"b"), None);
    tree.link(root, b"moved", b).unwrap();
    assert_eq!(names(&tree, "/"), ["a", "moved"]);
}

#[test]
fn links_are_counted_where_the_root_reaches_them() {
    let mut tree = tree(&["/a/", "/run/", "/run/deep/", "/a/file"]);
    let file = tree.resolve(b"/a/file").unwrap();
    for path in [&b"/"[..], b"/run", b"/run/deep"] {
        let directory = tree.resolve(path).unwrap();
        tree.link(directory, b"link", file).unwrap();
    }
    assert_eq!(tree.link_counts()[file.index()], 4);
    let run = tree.resolve(b"/run").unwrap();
    let deep = tree.resolve(b"/run/deep").unwrap();
    tree.clear(run);
    assert_eq!(tree.link_counts()[file.index()], 2);
    assert_eq!(tree.link_counts()[deep.index()], 0);
    assert_eq!(tree.entries(run).len(), 0);
    tree.link(run, b"deep", deep).unwrap();
    assert_eq!(tree.link_counts()[file.index()], 3);
}

#[test]
fn paths_follow_symlinks_but_never_leave_the_root() {
    let tree = tree(&[
        "/usr/",
        "/usr/lib/",
        "/usr/lib/os-release",
        "/lib -> usr/lib",
        "/abs -> /usr/lib/../lib/os-release",
        "/up -> ../../../../usr",
        "/usr/lib/back -> ../../lib",
        "/loop -> loop",
        "/gone -> nowhere",
    ]);
    let file = tree.resolve(b"/usr/lib/os-release").unwrap();
    for path in [
        &b"/lib/os-release"[..],
        b"lib//./os-release",
        b"/abs",
        b"/up/lib/os-release",
        b"/lib/back/back/os-release",
        b"/../../lib/os-release",
    ] {
        assert_eq!(tree.resolve(path), Ok(file), "{}", path.escape_ascii());
    }
    assert_eq!(tree.resolve(b"/"), Ok(tree.root()));
    assert_eq!(tree.resolve(b"/lib/.."), tree.resolve(b"/usr"));
    assert!(matches!(tree.content(tree.resolve_no_follow(b"/up/lib/back").unwrap()), Content::Symlink(_)));
    assert!(matches!(tree.resolve(b"/loop"), Err(TreeError::Loop(_))));
    assert!(matches!(tree.resolve(b"/gone"), Err(TreeError::Missing(_))));
    assert!(matches!(tree.resolve(b"/abs/x"), Err(TreeError::NotADirectory(_))));
    assert!(matches!(tree.resolve(b"/abs/.."), Err(TreeError::NotADirectory(_))));
}

#[test]
fn a_walk_gives_full_paths_in_preorder() {
    let tree = tree(&["/b/", "/b/z", "/b/a/", "/b/a/x", "/c", "/a"]);
    let collect = |mut walk: Walk<'_>| {
        let mut paths = Vec::new();
        while let Some((path, inode)) = walk.next_entry() {
            assert_eq!(tree.resolve(path), Ok(inode));
            paths.push(String::from_utf8(path.to_vec()).unwrap());
        }
        paths
    };
    assert_eq!(collect(tree.walk()), ["/", "/a", "/b", "/b/a", "/b/a/x", "/b/z", "/c"]);
    let b = tree.resolve(b"/b").unwrap();
    assert_eq!(collect(tree.walk_from(b, b"/b")), ["/b", "/b/a", "/b/a/x", "/b/z"]);
}

#[test]
fn an_entry_costs_no_more_than_150_bytes() {
    let mut tree = Tree::new(plain(0o755));
    let mut entries = 1;
    for directory in 0..1_000 {
        let id = tree.add(plain(0o755), Content::Directory, XattrSet::EMPTY).unwrap();
        tree.link(tree.root(), format!("directory-{directory:05}").as_bytes(), id).unwrap();
        for file in 0..33_u32 {
            let object = ObjectId::from_digest(Algorithm::Sha256, &[1; 32]).unwrap();
            let content = Content::External { object, size: 1 };
            let inode = tree.add(plain(0o644), content, XattrSet::EMPTY).unwrap();
            tree.link(id, format!("some-file-{file:05}").as_bytes(), inode).unwrap();
            entries += 1;
        }
        entries += 1;
    }
    assert!(tree.memory() <= entries * 150, "{} bytes an entry", tree.memory() / entries);
}

#[test]
fn an_object_is_replaced_by_one_of_its_algorithm_and_nothing_else_is() {
    let id = |text: &[u8]| crate::verity::digest(Algorithm::Sha256, text);
    let mut tree = Tree::new(plain(0o755));
    let mut add = |content| tree.add(plain(0o644), content, XattrSet::EMPTY).unwrap();
    let [a, b] = [b"a", b"b"].map(|text| add(Content::External { object: id(text), size: 5 }));
    let inline = add(Content::Inline(b"inline"));
    tree.set_object(a, id(b"new"));
    tree.set_object(inline, id(b"new"));
    tree.set_object(b, crate::verity::digest(Algorithm::Sha512, b"new"));
    assert_eq!(tree.content(a), Content::External { object: id(b"new"), size: 5 });
    assert_eq!(tree.content(b), Content::External { object: id(b"b"), size: 5 });
    assert_eq!(tree.content(inline), Content::Inline(b"inline"));
}
