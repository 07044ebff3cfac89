//! The extended attributes of one entry.

use std::ops::Range;

use super::Reason;
use crate::Limits;

/// Extended attributes, sorted bytewise by name, each name once. One buffer, used again for the next entry.
#[derive(Clone, Debug, Default)]
pub struct Xattrs {
    bytes: Vec<u8>,
    /// Name and value as ranges of `bytes`, sorted by name.
    list: Vec<(Range<usize>, Range<usize>)>,
}

impl Xattrs {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Names and values, sorted bytewise by name.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.list.iter().map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let place = self.find(name).ok()?;
        self.list.get(place).map(|(_, value)| self.slice(value))
    }

    /// Sets an attribute; one of the same name is replaced.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Reason> {
        if name.is_empty() || name.contains(&0) {
            let what = "extended attribute's name";
            return Err(Reason::Name { what, problem: "is empty or holds a NUL byte" });
        }
        for (what, len, limit) in [
            ("bytes in an extended attribute's name", name.len(), limits.xattr_name_bytes),
            ("bytes in an extended attribute's value", value.len(), limits.xattr_value_bytes),
            (
                "bytes of extended attributes",
                self.bytes.len() + name.len() + value.len(),
                limits.xattrs_bytes,
            ),
        ] {
            if len > limit {
                return Err(Reason::TooBig { what, limit: limit as u64 });
            }
        }
        let name = self.keep(name);
        let value = self.keep(value);
        match self.find(self.slice(&name)) {
            Ok(place) => {
                if let Some((_, old)) = self.list.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => self.list.insert(place, (name, value)),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.list.binary_search_by(|(other, _)| self.slice(other).cmp(name))
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Xattrs {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Xattrs {}
