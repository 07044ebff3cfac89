//! The extended attributes of an image's inodes: the files' own, escaped, and those that the format adds.
//!
//! What lives here: sets of attributes, each distinct attribute kept once with its count. What does not: the two
//! attributes that name an object, which are almost all unique (see [`super::sharing`]); bytes.

use std::{cmp::Ordering, collections::HashMap};

use super::{
    format::{XATTR_ENTRY_LEN, XATTR_WORD},
    order::{NONE, Node, Order},
    version::Version,
    xattr_name::{METACOPY, REDIRECT, XattrName},
};
use crate::{
    id_table::IdTable,
    tree::{Tree, Xattrs},
};

/// On the root: nothing of a lower layer shows through.
const OF_ROOT: &[(&[u8], &[u8])] = &[(b"trusted.overlay.opaque", b"y")];
/// A whiteout of the tree is stored as an empty file with these, for overlayfs and for its unprivileged variant.
const OF_WHITEOUT: &[(&[u8], &[u8])] =
    &[(b"trusted.overlay.overlay.whiteout", b""), (b"user.overlay.whiteout", b"")];
/// On its directory, so that overlayfs looks for such files.
const OF_DIRECTORY: &[(&[u8], &[u8])] = &[
    (b"trusted.overlay.overlay.whiteouts", b""),
    (b"user.overlay.whiteouts", b""),
    (b"trusted.overlay.overlay.opaque", b"x"),
    (b"user.overlay.opaque", b"x"),
];

/// A name and value that some inode has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: XattrName<'a>,
    pub(super) value: &'a [u8],
    /// How many inodes have it.
    uses: u64,
    /// Where it is in the shared table, in words; none while it is not there.
    pub(super) place: Option<u32>,
}

impl Attribute<'_> {
    /// The bytes that it takes, padding included.
    pub(super) fn len(&self) -> u64 {
        let len = XATTR_ENTRY_LEN + self.name.suffix_len() as u64 + self.value.len() as u64;
        len.next_multiple_of(XATTR_WORD)
    }

    /// The order of the shared table, ascending. Of equal names, V1 has the shorter value first.
    fn cmp_in_table(&self, other: &Self, version: Version) -> Ordering {
        let lengths = || match version {
            Version::V1 => self.value.len().cmp(&other.value.len()),
            Version::V2 => Ordering::Equal,
        };
        let names = self.name.cmp_in_table(&other.name, version);
        names.then_with(lengths).then_with(|| self.value.cmp(other.value))
    }
}

/// The attributes of an inode, but for the two that name its object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Set {
    /// Its part of the members, sorted by full name.
    start: usize,
    end: usize,
    /// The bits of the name filter.
    pub(super) filter: u32,
    /// How many are shared, and the bytes of the others.
    pub(super) shared: u64,
    pub(super) local_len: u64,
    /// How many come before an object's `metacopy`, and before its `redirect`: in V2 none, in V1 by full names.
    pub(super) before_metacopy: usize,
    pub(super) before_redirect: usize,
}

/// All sets and attributes of an image.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    pub(super) all: Vec<Attribute<'a>>,
    index: IdTable,
    /// For each set, indexes of `all`.
    members: Vec<u32>,
    sets: Vec<Set>,
}

type Pairs<'a> = Vec<(XattrName<'a>, &'a [u8])>;

impl<'a> Attributes<'a> {
    /// Collects what all nodes have, and gives each its `set`: that of the tree, or one of its own kind for the few
    /// inodes to which the format adds something.
    pub(super) fn collect(order: &mut Order<'a>) -> Self {
        let added = assign_sets(order);
        let mut uses = vec![0_u64; order.tree.xattr_set_count() + added.len()];
        for node in &order.nodes {
            if let Some(uses) = uses.get_mut(node.set as usize) {
                *uses += 1;
            }
        }
        let version = order.version;
        let of_tree = order.tree.xattr_sets().map(|xattrs| pairs(xattrs, version));
        let mut attributes = Self::default();
        for (uses, pairs) in uses.into_iter().zip(of_tree.chain(added)) {
            let set = if uses == 0 { Set::default() } else { attributes.intern(pairs, uses, version) };
            attributes.sets.push(set);
        }
        attributes
    }

    fn intern(&mut self, mut pairs: Pairs<'a>, uses: u64, version: Version) -> Set {
        pairs.sort_unstable();
        let mut set = Set { start: self.members.len(), ..Set::default() };
        for pair in pairs {
            let (name, value) = pair;
            let new = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
            let all = &self.all;
            let same =
                |other: u32| all.get(other as usize).is_some_and(|other| (other.name, other.value) == pair);
            let found = self.index.find_or_insert(self.index.hash(pair), new, same);
            if found.is_none() {
                self.all.push(Attribute { name, value, uses: 0, place: None });
            }
            let index = found.unwrap_or(new);
            if let Some(attribute) = self.all.get_mut(index as usize) {
                attribute.uses += uses;
            }
            self.members.push(index);
            set.filter |= name.filter_bit();
            if version == Version::V1 {
                set.before_metacopy += usize::from(name < METACOPY);
                set.before_redirect += usize::from(name < REDIRECT);
            }
        }
        set.end = self.members.len();
        set
    }

    /// The attributes that more than one inode has, in the ascending order of the shared table.
    pub(super) fn shared(&self, version: Version) -> Vec<u32> {
        let repeated = (0..).zip(&self.all).filter(|(_, attribute)| attribute.uses > 1);
        let mut repeated: Vec<(u32, &Attribute<'_>)> = repeated.collect();
        repeated.sort_unstable_by(|(_, one), (_, other)| one.cmp_in_table(other, version));
        repeated.into_iter().map(|(index, _)| index).collect()
    }

    /// Once places are given: what each set shares, and how large the rest is.
    pub(super) fn measure(&mut self) {
        for set in &mut self.sets {
            for member in self.members.get(set.start..set.end).unwrap_or_default() {
                match self.all.get(*member as usize) {
                    Some(Attribute { place: Some(_), .. }) => set.shared += 1,
                    Some(attribute) => set.local_len += attribute.len(),
                    None => {}
                }
            }
        }
    }

    /// The set of a node.
    pub(super) fn set(&self, node: &Node) -> Set {
        self.sets.get(node.set as usize).copied().unwrap_or_default()
    }

    /// The attributes of a set, sorted by full name.
    pub(super) fn members(&self, set: Set) -> impl Iterator<Item = &Attribute<'a>> + Clone {
        let members = self.members.get(set.start..set.end).unwrap_or_default();
        members.iter().filter_map(|member| self.all.get(*member as usize))
    }

    /// Whether some inode has a POSIX ACL.
    pub(super) fn has_acl(&self) -> bool {
        self.all.iter().any(|attribute| attribute.name.is_acl())
    }
}

fn pairs(xattrs: Xattrs<'_>, version: Version) -> Pairs<'_> {
    xattrs.map(|(name, value)| (XattrName::escaped(name, version), value)).collect()
}

/// Sets `set` of every node; the sets that the tree has not are returned, numbered after the tree's. V2 adds nothing.
fn assign_sets<'a>(order: &mut Order<'a>) -> Vec<Pairs<'a>> {
    let tree = order.tree;
    if order.version == Version::V2 {
        for node in &mut order.nodes {
            node.set = node.inode.map_or(NONE, |inode| number(tree.xattr_set(inode).index()));
        }
        return Vec::new();
    }
    let mut added = Added { tree, sets: Vec::new(), known: HashMap::new() };
    let stub = added.push(stub_pairs(tree));
    for node in &mut order.nodes {
        node.set = match node.inode {
            None => stub,
            Some(inode) if tree.is_whiteout(inode) => {
                added.with(tree.xattr_set(inode).index(), &[OF_WHITEOUT])
            }
            Some(inode) => number(tree.xattr_set(inode).index()),
        };
    }
    for directory in &order.directories {
        let extras: &[Extra] = match (directory.inode == tree.root(), directory.has_whiteout) {
            (false, false) => continue,
            (true, false) => &[OF_ROOT],
            (false, true) => &[OF_DIRECTORY],
            (true, true) => &[OF_ROOT, OF_DIRECTORY],
        };
        if let Some(node) = order.nodes.get_mut(directory.node as usize) {
            node.set = added.with(tree.xattr_set(directory.inode).index(), extras);
        }
    }
    added.sets
}

type Extra = &'static [(&'static [u8], &'static [u8])];

/// Sets that are a set of the tree with something added.
struct Added<'a> {
    tree: &'a Tree,
    sets: Vec<Pairs<'a>>,
    known: HashMap<(usize, &'static [Extra]), u32>,
}

impl<'a> Added<'a> {
    fn push(&mut self, pairs: Pairs<'a>) -> u32 {
        self.sets.push(pairs);
        number(self.tree.xattr_set_count() + self.sets.len() - 1)
    }

    fn with(&mut self, base: usize, extras: &'static [Extra]) -> u32 {
        if let Some(known) = self.known.get(&(base, extras)) {
            return *known;
        }
        let own =
            self.tree.xattr_sets().nth(base).map(|xattrs| pairs(xattrs, Version::V1)).unwrap_or_default();
        let stored = |(name, value): &(&'a [u8], &'a [u8])| (XattrName::stored(name, Version::V1), *value);
        let extra: Pairs<'a> = extras.iter().copied().flatten().map(stored).collect();
        // What the format says replaces what the file says, as in C.
        let replaced = |name: &XattrName<'_>| extra.iter().any(|(other, _)| other == name);
        let mut all: Pairs<'a> = own.into_iter().filter(|(name, _)| !replaced(name)).collect();
        all.extend(&extra);
        let number = self.push(all);
        self.known.insert((base, extras), number);
        number
    }
}

/// Stubs take the root's SELinux label and nothing else.
fn stub_pairs(tree: &Tree) -> Pairs<'_> {
    let label = tree.xattrs(tree.root()).filter(|(name, _)| *name == b"security.selinux");
    label.map(|(name, value)| (XattrName::escaped(name, Version::V1), value)).collect()
}

/// Sets are counted in 32 bits; `u32::MAX` is none.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
