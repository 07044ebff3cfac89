//! Trees as plain maps from paths, and the merge of such maps by a few lines that share nothing with the real one.

use std::collections::{BTreeMap, BTreeSet};

use sealstone_store::{
    Algorithm,
    tree::{Content, FileType, InodeId, Metadata, Timestamp, Tree},
    verity,
};

use super::super::{EtcMerge, EtcPolicy, Ignored, Sides, merge};

pub(super) type Entries = BTreeMap<String, Entry>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub what: What,
    pub mode: u16,
    pub uid: u32,
    pub xattrs: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Dir,
    File(String),
    Symlink(String),
    /// Another name of a file before it.
    Link(String),
}

impl Entry {
    fn new(what: What, mode: u16) -> Self {
        Self { what, mode, uid: 0, xattrs: BTreeMap::new() }
    }

    pub(super) fn mode(mut self, mode: u16) -> Self {
        self.mode = mode;
        self
    }

    pub(super) fn owner(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    pub(super) fn xattr(mut self, key: &str, value: &str) -> Self {
        self.xattrs.insert(key.to_owned(), value.to_owned());
        self
    }
}

pub(super) fn dir() -> Entry {
    Entry::new(What::Dir, 0o755)
}

pub(super) fn file(text: &str) -> Entry {
    Entry::new(What::File(text.to_owned()), 0o644)
}

pub(super) fn symlink(target: &str) -> Entry {
    Entry::new(What::Symlink(target.to_owned()), 0o777)
}

pub(super) fn link(path: &str) -> Entry {
    Entry::new(What::Link(path.to_owned()), 0)
}

/// A tree of the entries; folders are made before what is in them, since their paths are shorter.
pub(super) fn tree(entries: &Entries) -> Tree {
    let mtime = Timestamp { sec: 0, nsec: 0 };
    let mut tree = Tree::new(Metadata { mode: 0o755, uid: 0, gid: 0, mtime });
    let mut made: BTreeMap<&str, InodeId> = BTreeMap::new();
    for (path, entry) in entries {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if parent.is_empty() { tree.root() } else { made[parent] };
        let object = |text: &str| verity::digest(Algorithm::Sha256, text.as_bytes());
        let content = match &entry.what {
            What::Dir => Content::Directory,
            What::File(text) if text.len() <= 64 => Content::Inline(text.as_bytes()),
            What::File(text) => Content::External { object: object(text), size: text.len() as u64 },
            What::Symlink(target) => Content::Symlink(target.as_bytes()),
            What::Link(path) => {
                let inode = made[path.as_str()];
                tree.link(parent, name.as_bytes(), inode).unwrap();
                continue;
            }
        };
        let pairs = entry.xattrs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        let set = tree.intern_xattrs(&pairs.collect::<Vec<_>>()).unwrap();
        let inode =
            tree.add(Metadata { mode: entry.mode, uid: entry.uid, gid: 0, mtime }, content, set).unwrap();
        tree.link(parent, name.as_bytes(), inode).unwrap();
        made.insert(path, inode);
    }
    tree
}

/// The entries of a tree, without the root.
pub(super) fn flat(tree: &Tree) -> Entries {
    let mut entries = Entries::new();
    let mut walk = tree.walk();
    while let Some((path, inode)) = walk.next_entry() {
        let path = String::from_utf8(path[1..].to_vec()).unwrap();
        if path.is_empty() {
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let what = match tree.content(inode) {
            Content::Inline(bytes) => What::File(text(bytes)),
            Content::External { object, .. } => What::File(format!("{object:?}")),
            Content::Symlink(target) => What::Symlink(text(target)),
            _ => What::Dir,
        };
        let Metadata { mode, uid, .. } = tree.metadata(inode);
        let mode = if tree.file_type(inode) == FileType::Symlink { 0o777 } else { mode };
        let xattrs = tree.xattrs(inode).map(|(key, value)| (text(key), text(value))).collect();
        entries.insert(path, Entry { what, mode, uid, xattrs });
    }
    entries
}

pub(super) struct Trees {
    pub old: Tree,
    pub local: Tree,
    pub image: Tree,
}

pub(super) fn trees(old: &Entries, local: &Entries, image: &Entries) -> Trees {
    Trees { old: tree(old), local: tree(local), image: tree(image) }
}

static NONE_IGNORED: BTreeMap<Vec<u8>, Ignored> = BTreeMap::new();
static NONE_ASKED: BTreeSet<Vec<u8>> = BTreeSet::new();

pub(super) fn sides<'a>(trees: &'a Trees, strategies: &'a EtcPolicy) -> Sides<'a> {
    let top = |tree: &'a Tree| (tree, Some(tree.root()));
    Sides {
        pristine: top(&trees.old),
        current: top(&trees.local),
        new: top(&trees.image),
        ignored: &NONE_IGNORED,
        asked: &NONE_ASKED,
        strategies,
        is_root: true,
    }
}

/// The result of a merge as entries, and its report.
pub(super) fn merged(old: &Entries, local: &Entries, image: &Entries, rules: &[&str]) -> (Entries, EtcMerge) {
    let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let (trees, strategies) = (trees(old, local, image), EtcPolicy { rules });
    let merged = merge(&sides(&trees, &strategies)).unwrap();
    (flat(&merged.tree), merged.report)
}

/// The model: each path for itself, as diff3 does with lines. Types never differ between the sides.
pub(super) fn model(old: &Entries, local: &Entries, image: &Entries) -> Entries {
    let paths: BTreeSet<&String> = old.keys().chain(local.keys()).chain(image.keys()).collect();
    let mut result = Entries::new();
    // The deepest first, so that a folder knows whether something is in it.
    for path in paths.into_iter().rev() {
        let inside = format!("{path}/");
        let is_needed = result.keys().any(|other| other.starts_with(&inside));
        let (old, local, image) = (old.get(path), local.get(path), image.get(path));
        let is_dir = [old, local, image].into_iter().flatten().any(|entry| entry.what == What::Dir);
        let entry = match (local, image) {
            (Some(local), Some(image)) => Some(both(old, local, image)),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                let is_changed = old.is_some_and(|old| old != one) && local.is_some() && !is_dir;
                (old.is_none() || is_changed || is_needed).then(|| one.clone())
            }
        };
        result.extend(entry.map(|entry| (path.clone(), entry)));
    }
    result
}

fn both(old: Option<&Entry>, local: &Entry, image: &Entry) -> Entry {
    fn pick<T: PartialEq + Clone>(old: Option<&T>, local: &T, image: &T) -> T {
        if old == Some(local) { image.clone() } else { local.clone() }
    }
    let keys: BTreeSet<&String> = local.xattrs.keys().chain(image.xattrs.keys()).collect();
    let value = |key: &String| {
        let of = |entry: &Entry| entry.xattrs.get(key).cloned();
        let value = pick(Some(&old.and_then(of)), &of(local), &of(image));
        value.map(|value| (key.clone(), value))
    };
    Entry {
        what: pick(old.map(|old| &old.what), &local.what, &image.what),
        mode: pick(old.map(|old| &old.mode), &local.mode, &image.mode),
        uid: pick(old.map(|old| &old.uid), &local.uid, &image.uid),
        xattrs: keys.into_iter().filter_map(value).collect(),
    }
}
