//! Names of extended attributes as an image stores them: an index for the prefix, then the rest.
//!
//! What lives here: the prefix table, the escaping of `trusted.overlay.`, and the order of full names. What does not:
//! values, sharing.

use std::{cmp::Ordering, iter};

use twox_hash::XxHash32;

use super::{format::XATTR_FILTER_SEED, version::Version};

/// The prefixes by index (`EROFS_XATTR_INDEX_*`). Index 5, `lustre.`, is not written in V1: C `mkcomposefs`
/// has no such.
pub(super) const PREFIXES: [&[u8]; 7] = [
    b"",
    b"user.",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
    b"trusted.",
    b"lustre.",
    b"security.",
];
const TRUSTED: u8 = 4;
const LUSTRE: u8 = 5;

/// What overlayfs takes for its own. A file's own attribute of that kind is stored one level deeper, so that it shows
/// again on the mounted image.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// The name of an attribute in an image. Two are equal exactly when their full names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct XattrName<'a> {
    /// Into [`PREFIXES`].
    pub(super) index: u8,
    /// `overlay.overlay.` for an escaped name, else empty.
    stem: &'static [u8],
    rest: &'a [u8],
}

/// The digest of an object, for overlayfs to check.
pub(super) const METACOPY: XattrName<'static> = overlay(b"overlay.metacopy");
/// Where the object is, from the root of the data layer.
pub(super) const REDIRECT: XattrName<'static> = overlay(b"overlay.redirect");
const fn overlay(rest: &[u8]) -> XattrName<'_> {
    XattrName { index: TRUSTED, stem: b"", rest }
}

impl<'a> XattrName<'a> {
    /// The stored form of a file's own attribute: one that overlayfs would take for its own is escaped.
    pub(super) fn escaped(full: &'a [u8], version: Version) -> Self {
        full.strip_prefix(OVERLAY).map_or_else(|| Self::stored(full, version), Self::deeper)
    }

    /// An attribute that is meant for overlayfs, under the name given.
    pub(super) fn stored(full: &'a [u8], version: Version) -> Self {
        if let Some(rest) = full.strip_prefix(OVERLAY).and_then(|rest| rest.strip_prefix(b"overlay.")) {
            return Self::deeper(rest);
        }
        let is_written = |index: u8| index != LUSTRE || version == Version::V2;
        let mut stored = (1_u8..).zip(PREFIXES.iter().skip(1)).filter(|(index, _)| is_written(*index));
        let found = stored.find_map(|(index, prefix)| Some((index, full.strip_prefix(*prefix)?)));
        let (index, rest) = found.unwrap_or((0, full));
        Self { index, stem: b"", rest }
    }

    /// One level deeper than overlayfs looks. The only form of such names, so that equality is that of the parts.
    const fn deeper(rest: &'a [u8]) -> Self {
        Self { index: TRUSTED, stem: b"overlay.overlay.", rest }
    }

    /// The stored name after its prefix, in two parts. Together they are at most 255 bytes: escaping adds 8, and takes
    /// a prefix of 8 away.
    pub(super) fn suffix(&self) -> [&'a [u8]; 2] {
        [self.stem, self.rest]
    }

    pub(super) fn suffix_len(&self) -> usize {
        self.stem.len() + self.rest.len()
    }

    /// Whether the full name is that of a POSIX ACL.
    pub(super) fn is_acl(&self) -> bool {
        matches!(self.index, 2 | 3) && self.rest.is_empty()
    }

    /// The bit of this name in an inode's filter, by which the kernel skips inodes that lack an attribute.
    pub(super) fn filter_bit(&self) -> u32 {
        let suffix = self.suffix().concat();
        1 << (XxHash32::oneshot(XATTR_FILTER_SEED.wrapping_add(self.index.into()), &suffix) % 32)
    }

    /// The order of the shared table, ascending. V1 compares full names, V2 what is stored of them: the prefix' index,
    /// then the rest.
    pub(super) fn cmp_in_table(&self, other: &Self, version: Version) -> Ordering {
        match version {
            Version::V1 => self.cmp(other),
            Version::V2 => self
                .index
                .cmp(&other.index)
                .then_with(|| self.suffix().into_iter().flatten().cmp(other.suffix().into_iter().flatten())),
        }
    }

    fn full(&self) -> impl Iterator<Item = &'a u8> {
        let prefix = PREFIXES.get(usize::from(self.index)).copied().unwrap_or_default();
        iter::once(prefix).chain(self.suffix()).flatten()
    }
}

impl Ord for XattrName<'_> {
    /// By the bytes of the full name, as `strcmp`.
    fn cmp(&self, other: &Self) -> Ordering {
        self.full().cmp(other.full())
    }
}

impl PartialOrd for XattrName<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
