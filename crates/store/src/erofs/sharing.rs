//! The table of extended attributes that an image stores once: those, name and value, that several inodes have.
//!
//! What lives here: which objects several inodes name, the table in its order, and places in it. What does not:
//! counting the other attributes ([`super::attributes`]), bytes.
//!
//! The two attributes of an object are counted by its digest: almost all are unique, and are never made to be
//! compared.

use super::{
    attributes::{Attributes, Set},
    format::{XATTR_ENTRY_LEN, XATTR_HEADER_LEN, XATTR_WORD},
    order::{NONE, Node, Order, needs_object},
    version::Version,
    xattr_name::{METACOPY, REDIRECT, XattrName},
};
use crate::{
    Algorithm,
    id_table::IdTable,
    tree::{InodeId, Tree, TreeError},
};

/// An object that several inodes have, and where its two attributes are in the shared table, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedObject {
    /// The first such file.
    pub(super) inode: InodeId,
    pub(super) metacopy: u32,
    pub(super) redirect: u32,
}

/// An entry of the shared table.
#[derive(Clone, Copy, Debug)]
pub(super) enum SharedEntry {
    /// An index of the attributes.
    Attribute(u32),
    /// Indexes of the objects.
    Metacopy(u32),
    Redirect(u32),
}

/// The attributes of an image and which of them are shared.
#[derive(Debug)]
pub(super) struct Sharing<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) objects: Vec<SharedObject>,
    /// The shared table in its order, and its size in bytes.
    pub(super) table: Vec<SharedEntry>,
    pub(super) table_len: u64,
}

impl<'a> Sharing<'a> {
    /// Decides for all nodes, and sets their `set` and `object`.
    pub(super) fn new(order: &mut Order<'a>) -> Result<Self, TreeError> {
        let objects = repeated_objects(order);
        let attributes = Attributes::collect(order);
        let mut sharing = Self { attributes, objects, table: Vec::new(), table_len: 0 };
        sharing.order_table(order.tree, order.version);
        sharing.give_places(order.tree)?;
        sharing.attributes.measure();
        Ok(sharing)
    }

    /// V1: descending by full name, then by the value's length, then by its bytes (C: `xattrs_ht_sort`). V2: ascending
    /// by the prefix' index, the rest of the name, and the value.
    fn order_table(&mut self, tree: &Tree, version: Version) {
        let attributes = self.attributes.shared(version);
        let mut objects: Vec<u32> = (0..).zip(&self.objects).map(|(index, _)| index).collect();
        // Paths sort as the digests in them do.
        objects.sort_unstable_by_key(|index| {
            let digest = self.objects.get(*index as usize).and_then(|object| tree.digest(object.inode));
            digest.map(|(_, digest)| (digest.len(), digest))
        });
        let before = |name: XattrName<'_>| {
            let is_before = |index: &u32| {
                let attribute = self.attributes.all.get(*index as usize);
                attribute.is_some_and(|attribute| attribute.name.cmp_in_table(&name, version).is_lt())
            };
            attributes.partition_point(is_before)
        };
        let (metacopy, redirect) = (before(METACOPY), before(REDIRECT));
        let part = |range: std::ops::Range<usize>| {
            attributes.get(range).unwrap_or_default().iter().map(|i| SharedEntry::Attribute(*i))
        };
        self.table = part(0..metacopy)
            .chain(objects.iter().map(|index| SharedEntry::Metacopy(*index)))
            .chain(part(metacopy..redirect))
            .chain(objects.iter().map(|index| SharedEntry::Redirect(*index)))
            .chain(part(redirect..attributes.len()))
            .collect();
        if version == Version::V1 {
            self.table.reverse();
        }
    }

    fn give_places(&mut self, tree: &Tree) -> Result<(), TreeError> {
        for entry in &self.table {
            let place = u32::try_from(self.table_len / XATTR_WORD).map_err(|_| too_big())?;
            let mut object = |index: u32, set: fn(&mut SharedObject, u32), len: fn(Algorithm) -> u64| {
                let object = self.objects.get_mut(index as usize)?;
                set(object, place);
                tree.digest(object.inode).map(|(algorithm, _)| len(algorithm))
            };
            let len = match *entry {
                SharedEntry::Redirect(index) => {
                    object(index, |object, place| object.redirect = place, redirect_len)
                }
                SharedEntry::Metacopy(index) => {
                    object(index, |object, place| object.metacopy = place, metacopy_len)
                }
                SharedEntry::Attribute(index) => {
                    self.attributes.all.get_mut(index as usize).map(|attribute| {
                        attribute.place = Some(place);
                        attribute.len()
                    })
                }
            };
            self.table_len += len.unwrap_or_default();
        }
        Ok(())
    }

    /// The object that a node shares with others.
    pub(super) fn object(&self, node: &Node) -> Option<&SharedObject> {
        self.objects.get(node.object as usize)
    }
}

/// The bytes of a node's attributes, header included; `object` is the algorithm of its object, if it has one.
pub(super) fn xattrs_len(node: &Node, set: &Set, object: Option<Algorithm>) -> u64 {
    let (shared, local_len) = match object {
        Some(_) if node.object != NONE => (set.shared + 2, set.local_len),
        Some(algorithm) => (set.shared, set.local_len + metacopy_len(algorithm) + redirect_len(algorithm)),
        None => (set.shared, set.local_len),
    };
    if shared == 0 && local_len == 0 { 0 } else { XATTR_HEADER_LEN + shared * XATTR_WORD + local_len }
}

/// The objects that more than one node has; sets `object` of those nodes.
fn repeated_objects(order: &mut Order<'_>) -> Vec<SharedObject> {
    let Order { tree, version, ref mut nodes, .. } = *order;
    let mut objects = Vec::new();
    let mut seen = IdTable::default();
    for number in 0..nodes.len() {
        let Some((inode, digest)) = external(tree, version, nodes, number) else { continue };
        let same = |other: u32| {
            external(tree, version, nodes, other as usize).is_some_and(|(_, other)| other == digest)
        };
        // Nodes are counted in 32 bits.
        let id = u32::try_from(number).unwrap_or(NONE);
        let Some(first) = seen.find_or_insert(seen.hash(digest), id, same) else { continue };
        let mut object = nodes.get(first as usize).map_or(NONE, |node| node.object);
        if object == NONE {
            object = u32::try_from(objects.len()).unwrap_or(NONE);
            objects.push(SharedObject { inode, metacopy: 0, redirect: 0 });
        }
        for number in [first as usize, number] {
            if let Some(node) = nodes.get_mut(number) {
                node.object = object;
            }
        }
    }
    objects
}

/// The file and its digest, if a node is a file whose content is an object.
fn external<'a>(
    tree: &'a Tree,
    version: Version,
    nodes: &[Node],
    number: usize,
) -> Option<(InodeId, &'a [u8])> {
    let inode = nodes.get(number)?.inode?;
    let (_, digest) = tree.digest(inode)?;
    needs_object(version, tree.size(inode)).then_some((inode, digest))
}

/// The bytes of an object's `trusted.overlay.metacopy`: four bytes and the digest.
pub(super) fn metacopy_len(algorithm: Algorithm) -> u64 {
    entry_len(METACOPY.suffix_len() + 4 + algorithm.digest_len())
}

/// The bytes of an object's `trusted.overlay.redirect`: `/XX/rest` in hexadecimal.
pub(super) fn redirect_len(algorithm: Algorithm) -> u64 {
    entry_len(REDIRECT.suffix_len() + 2 + 2 * algorithm.digest_len())
}

fn entry_len(name_and_value: usize) -> u64 {
    (XATTR_ENTRY_LEN + name_and_value as u64).next_multiple_of(XATTR_WORD)
}

/// The image's numbers do not suffice.
pub(super) fn too_big() -> TreeError {
    TreeError::TooBig { what: "bytes of an image", limit: 128 << 30 }
}
