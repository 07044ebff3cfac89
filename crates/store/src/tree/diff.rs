//! What differs between two trees, path by path and attribute by attribute.
//!
//! What lives here: the comparison of what a mounted image would show: names, types, contents, targets, device numbers,
//! modes, owners, times and extended attributes. What does not: hardlink groups, which cost no path its meaning, and
//! how bytes of two versions of a file differ. Invariant: differences come in preorder, children bytewise.

use super::{Content, InodeId, Tree};

/// One path at which two trees differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path from the root, which is `/`. Bytes: names need not be UTF-8.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
}

/// What happened to a path between the first tree and the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second tree has it.
    Added(InodeId),
    /// Only the first tree has it.
    Removed(InodeId),
    /// Both have it, and these attributes differ; never empty.
    Changed {
        /// The file in the first tree.
        before: InodeId,
        /// The file in the second tree.
        after: InodeId,
        /// What differs.
        attributes: Vec<Attribute>,
    },
}

/// One thing in which two files of a path differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// The type: a file became a folder, and so on. Says nothing about contents then.
    Type,
    /// The bytes of a regular file.
    Content,
    /// Where a symbolic link points.
    Target,
    /// The number of a device.
    Device,
    /// Permissions, set-id and sticky bits.
    Mode,
    /// The owner.
    Owner,
    /// The group.
    Group,
    /// The modification time.
    Time,
    /// The extended attribute of this name.
    Xattr(Vec<u8>),
}

/// The differences of two trees, in order. Made by [`Tree::diff`].
#[derive(Debug)]
pub struct Diff<'a> {
    before: &'a Tree,
    after: &'a Tree,
    /// Paths still to be compared, the next one last.
    pending: Vec<(Vec<u8>, Sides)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
    Before(InodeId),
    After(InodeId),
    Both(InodeId, InodeId),
}

impl Tree {
    /// What differs when this tree becomes `after`.
    ///
    /// ```
    /// use sealstone_store::tree::{Attribute, Change, Content, Metadata, Timestamp, Tree, XattrSet};
    ///
    /// let metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
    /// let mut before = Tree::new(metadata);
    /// let issue = before.add(metadata, Content::Inline(b"one"), XattrSet::EMPTY)?;
    /// before.link(before.root(), b"issue", issue)?;
    /// let mut after = Tree::new(metadata);
    /// let issue = after.add(metadata, Content::Inline(b"two"), XattrSet::EMPTY)?;
    /// after.link(after.root(), b"issue", issue)?;
    ///
    /// let differences: Vec<_> = before.diff(&after).collect();
    /// assert_eq!(differences[0].path, b"/issue");
    /// assert!(matches!(&differences[0].change, Change::Changed { attributes, .. } if *attributes == [Attribute::Content]));
    /// # Ok::<(), sealstone_store::tree::TreeError>(())
    /// ```
    #[must_use]
    pub fn diff<'a>(&'a self, after: &'a Self) -> Diff<'a> {
        let roots = Sides::Both(self.root(), after.root());
        Diff { before: self, after, pending: vec![(b"/".to_vec(), roots)] }
    }
}

impl Iterator for Diff<'_> {
    type Item = Difference;

    fn next(&mut self) -> Option<Difference> {
        loop {
            let (path, sides) = self.pending.pop()?;
            self.descend(&path, sides);
            let change = match sides {
                Sides::Before(inode) => Change::Removed(inode),
                Sides::After(inode) => Change::Added(inode),
                Sides::Both(before, after) => {
                    let attributes = self.compare(before, after);
                    if attributes.is_empty() {
                        continue;
                    }
                    Change::Changed { before, after, attributes }
                }
            };
            return Some(Difference { path, change });
        }
    }
}

impl Diff<'_> {
    /// Puts the children of a path on the stack, the last one first: both sides' sorted names merged.
    fn descend(&mut self, path: &[u8], sides: Sides) {
        let (old, new) = match sides {
            Sides::Before(inode) => (Some(inode), None),
            Sides::After(inode) => (None, Some(inode)),
            Sides::Both(before, after) => (Some(before), Some(after)),
        };
        let mut olds = old.into_iter().flat_map(|inode| self.before.entries(inode).rev()).peekable();
        let mut news = new.into_iter().flat_map(|inode| self.after.entries(inode).rev()).peekable();
        loop {
            let (name, sides) = match (olds.peek().copied(), news.peek().copied()) {
                (None, None) => break,
                (Some((name, old)), None) => (name, Sides::Before(old)),
                (None, Some((name, new))) => (name, Sides::After(new)),
                (Some((name, old)), Some((other, new))) => match name.cmp(other) {
                    std::cmp::Ordering::Greater => (name, Sides::Before(old)),
                    std::cmp::Ordering::Less => (other, Sides::After(new)),
                    std::cmp::Ordering::Equal => (name, Sides::Both(old, new)),
                },
            };
            if !matches!(sides, Sides::After(_)) {
                olds.next();
            }
            if !matches!(sides, Sides::Before(_)) {
                news.next();
            }
            let base = path.strip_suffix(b"/").unwrap_or(path);
            self.pending.push(([base, b"/", name].concat(), sides));
        }
    }

    fn compare(&self, before: InodeId, after: InodeId) -> Vec<Attribute> {
        let mut found = Vec::new();
        if self.before.file_type(before) == self.after.file_type(after) {
            found.extend(content_attribute(self.before.content(before), self.after.content(after)));
        } else {
            found.push(Attribute::Type);
        }
        let (old, new) = (self.before.metadata(before), self.after.metadata(after));
        let plain = [
            (old.mode != new.mode, Attribute::Mode),
            (old.uid != new.uid, Attribute::Owner),
            (old.gid != new.gid, Attribute::Group),
            (old.mtime != new.mtime, Attribute::Time),
        ];
        found.extend(plain.into_iter().filter_map(|(differs, attribute)| differs.then_some(attribute)));
        let (old, new) = (self.before.xattrs(before), self.after.xattrs(after));
        let mut names: Vec<&[u8]> = old.clone().chain(new.clone()).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| old.get(name) != new.get(name));
        found.extend(names.into_iter().map(|name| Attribute::Xattr(name.to_vec())));
        found
    }
}

/// How the contents of two files of one type differ.
fn content_attribute(before: Content<'_>, after: Content<'_>) -> Option<Attribute> {
    (before != after).then_some(match before {
        Content::Symlink(_) => Attribute::Target,
        Content::CharDevice(_) | Content::BlockDevice(_) => Attribute::Device,
        _ => Attribute::Content,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Metadata, Timestamp, XattrSet};
    use super::*;

    const META: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 7, nsec: 0 } };

    /// Adds a file under `/folder/` or at the top.
    fn put(
        tree: &mut Tree,
        folder: InodeId,
        name: &str,
        metadata: Metadata,
        content: Content<'_>,
    ) -> InodeId {
        let inode = tree.add(metadata, content, XattrSet::EMPTY).unwrap();
        tree.link(folder, name.as_bytes(), inode).unwrap();
        inode
    }

    fn shown(before: &Tree, after: &Tree) -> Vec<String> {
        before
            .diff(after)
            .map(|difference| {
                let path = String::from_utf8(difference.path).unwrap();
                match difference.change {
                    Change::Added(_) => format!("+{path}"),
                    Change::Removed(_) => format!("-{path}"),
                    Change::Changed { attributes, .. } => format!("{path} {attributes:?}"),
                }
            })
            .collect()
    }

    #[test]
    fn equal_trees_do_not_differ() {
        let mut tree = Tree::new(META);
        let root = tree.root();
        put(&mut tree, root, "a", META, Content::Inline(b"x"));
        assert_eq!(shown(&tree, &tree.clone()), Vec::<String>::new());
    }

    #[test]
    fn additions_and_removals_come_in_preorder_with_all_that_is_below() {
        let mut before = Tree::new(META);
        let folder = before.root();
        let old = put(&mut before, folder, "old", META, Content::Directory);
        put(&mut before, old, "file", META, Content::Fifo);
        put(&mut before, folder, "same", META, Content::Fifo);
        let mut after = Tree::new(META);
        let folder = after.root();
        put(&mut after, folder, "new", META, Content::Inline(b""));
        put(&mut after, folder, "same", META, Content::Fifo);
        assert_eq!(shown(&before, &after), ["+/new", "-/old", "-/old/file"]);
    }

    #[test]
    fn each_attribute_is_named() {
        let mut before = Tree::new(META);
        let mut after = Tree::new(META);
        let root = before.root();
        put(&mut before, root, "device", META, Content::CharDevice(1));
        put(&mut after, root, "device", META, Content::CharDevice(2));
        put(&mut before, root, "link", META, Content::Symlink(b"a"));
        put(&mut after, root, "link", META, Content::Symlink(b"b"));
        let other = Metadata { mode: 0o4755, uid: 1, gid: 2, mtime: Timestamp { sec: 7, nsec: 1 } };
        put(&mut before, root, "meta", META, Content::Inline(b""));
        put(&mut after, root, "meta", other, Content::Inline(b""));
        put(&mut before, root, "type", META, Content::Inline(b"x"));
        put(&mut after, root, "type", META, Content::Directory);
        let plain = put(&mut before, root, "xattr", META, Content::Fifo);
        let set = before.intern_xattrs(&[(b"user.same", b"1"), (b"user.was", b"1")]).unwrap();
        before.set_xattrs(plain, set);
        let plain = put(&mut after, root, "xattr", META, Content::Fifo);
        let set = after.intern_xattrs(&[(b"user.is", b"1"), (b"user.same", b"1")]).unwrap();
        after.set_xattrs(plain, set);
        let xattrs = [Attribute::Xattr(b"user.is".to_vec()), Attribute::Xattr(b"user.was".to_vec())];
        let expected = [
            "/device [Device]".to_owned(),
            "/link [Target]".to_owned(),
            "/meta [Mode, Owner, Group, Time]".to_owned(),
            "/type [Type]".to_owned(),
            format!("/xattr {xattrs:?}"),
        ];
        assert_eq!(shown(&before, &after), expected);
    }
}
