//! Extended attributes of a tree: sets, each kept once.
//!
//! What lives here: the encoding of a set (for each attribute, sorted bytewise by name: u16 name length, u16 value
//! length, name, value) and the table that finds an equal set. What does not: prefixes, escaping, sharing between
//! inodes, which are the image format's.

use super::{NAME_MAX, TreeError, offset, quoted};
use crate::id_table::IdTable;

/// A set of extended attributes of a [`Tree`](super::Tree): valid in the tree that made it and in its clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XattrSet(u32);

impl XattrSet {
    /// No attributes, in every tree.
    pub const EMPTY: Self = Self(0);
    /// The most attributes of one file: with the 8 that the image format may add, no more than the 128 shared ones
    /// that C `mkcomposefs` allows an inode.
    pub const COUNT_MAX: usize = 120;
    /// The most bytes of names and values of one file. An EROFS inode counts its own in 65,535 words of four bytes.
    pub const BYTES_MAX: usize = 128 << 10;

    /// The position among the sets of the tree: below [`Tree::xattr_set_count`](super::Tree::xattr_set_count).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The extended attributes of one file: an iterator over names and values, sorted bytewise by name.
#[derive(Clone, Debug)]
pub struct Xattrs<'a> {
    encoded: &'a [u8],
}

impl<'a> Xattrs<'a> {
    /// The value of the attribute of this full name, such as `security.selinux`.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.clone().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Xattrs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d], rest) = self.encoded.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([a, b])))?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([c, d])))?;
        self.encoded = rest;
        Some((name, value))
    }
}

/// All sets of a tree.
#[derive(Clone, Debug)]
pub(super) struct XattrTable {
    /// Where each set starts and ends in `bytes`.
    sets: Vec<(u32, u32)>,
    bytes: Vec<u8>,
    index: IdTable,
}

impl Default for XattrTable {
    fn default() -> Self {
        Self { sets: vec![(0, 0)], bytes: Vec::new(), index: IdTable::default() }
    }
}

impl XattrTable {
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    pub(super) fn get(&self, set: XattrSet) -> Xattrs<'_> {
        Xattrs { encoded: encoded(&self.sets, &self.bytes, set.0) }
    }

    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Xattrs<'_>> {
        (0..).take(self.sets.len()).map(|set| self.get(XattrSet(set)))
    }

    pub(super) fn intern(&mut self, xattrs: &[(&[u8], &[u8])]) -> Result<XattrSet, TreeError> {
        if xattrs.is_empty() {
            return Ok(XattrSet::EMPTY);
        }
        check(xattrs)?;
        let id = offset("sets of extended attributes", self.sets.len())?;
        let start = offset("bytes of extended attributes", self.bytes.len())?;
        if xattrs.is_sorted_by(|a, b| a.0 < b.0) {
            self.append(xattrs);
        } else {
            let mut sorted = xattrs.to_vec();
            sorted.sort_unstable_by_key(|xattr| xattr.0);
            if let Some([(name, _), _]) = sorted.array_windows().find(|[a, b]| a.0 == b.0) {
                return Err(TreeError::Duplicate(quoted(name)));
            }
            self.append(&sorted);
        }
        let end = offset("bytes of extended attributes", self.bytes.len())?;
        let Self { sets, bytes, index } = self;
        let new = bytes.get(start as usize..).unwrap_or_default();
        let found = index.find_or_insert(index.hash(new), id, |other| encoded(sets, bytes, other) == new);
        if let Some(found) = found {
            self.bytes.truncate(start as usize);
            return Ok(XattrSet(found));
        }
        self.sets.push((start, end));
        Ok(XattrSet(id))
    }

    fn append(&mut self, sorted: &[(&[u8], &[u8])]) {
        for (name, value) in sorted {
            // Lengths are checked to fit.
            self.bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
            self.bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_le_bytes());
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value);
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.sets.capacity() * size_of::<(u32, u32)>() + self.bytes.capacity() + self.index.memory()
    }
}

fn encoded<'a>(sets: &[(u32, u32)], bytes: &'a [u8], set: u32) -> &'a [u8] {
    let range = sets.get(set as usize).map(|(start, end)| *start as usize..*end as usize);
    range.and_then(|range| bytes.get(range)).unwrap_or_default()
}

fn check(xattrs: &[(&[u8], &[u8])]) -> Result<(), TreeError> {
    let mut total = 0;
    for (name, value) in xattrs {
        if name.is_empty() || name.contains(&0) {
            return Err(TreeError::Name(quoted(name)));
        }
        if name.len() > NAME_MAX {
            return Err(TreeError::TooBig { what: "bytes of an attribute's name", limit: NAME_MAX as u64 });
        }
        if value.len() > usize::from(u16::MAX) {
            return Err(TreeError::TooBig { what: "bytes of an attribute's value", limit: u16::MAX.into() });
        }
        total += name.len() + value.len();
    }
    if xattrs.len() > XattrSet::COUNT_MAX {
        return Err(TreeError::TooBig { what: "extended attributes", limit: XattrSet::COUNT_MAX as u64 });
    }
    if total > XattrSet::BYTES_MAX {
        let what = "bytes of a file's extended attributes";
        return Err(TreeError::TooBig { what, limit: XattrSet::BYTES_MAX as u64 });
    }
    Ok(())
}
