//! The writer of dumps: depth first, children bytewise, the first name of a file in full and the others as links.

use std::{
    collections::HashMap,
    fmt::{self, Write},
};

use super::escape::{Place, push, push_field};
use crate::tree::{Content, FileType, InodeId, Tree};

/// A tree, to be displayed as a dump.
///
/// ```
/// use sealstone_store::{dump::Dump, tree::{Metadata, Timestamp, Tree}};
///
/// let root = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 7, nsec: 0 } };
/// assert_eq!(Dump::new(&Tree::new(root)).to_string(), "/ 0 40755 2 0 0 0 7.0 - - -\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dump<'a> {
    tree: &'a Tree,
}

impl<'a> Dump<'a> {
    /// The whole tree.
    #[must_use]
    pub const fn new(tree: &'a Tree) -> Self {
        Self { tree }
    }

    /// Appends a file's line, all but its path.
    fn push_file(self, line: &mut String, inode: InodeId, links: u32) -> fmt::Result {
        let tree = self.tree;
        let metadata = tree.metadata(inode);
        let path;
        let (rdev, payload, content, digest): (u32, &[u8], &[u8], String) = match tree.content(inode) {
            Content::Inline(bytes) => (0, b"", bytes, String::new()),
            Content::External { object, .. } => {
                path = object.object_path();
                (0, path.as_bytes(), b"", object.to_hex())
            }
            Content::Symlink(target) => (0, target, b"", String::new()),
            Content::CharDevice(number) | Content::BlockDevice(number) => (number, b"", b"", String::new()),
            Content::Directory | Content::Fifo | Content::Socket => (0, b"", b"", String::new()),
        };
        write!(
            line,
            " {} {:o} {links} {} {} {rdev} {}.{} ",
            tree.size(inode),
            tree.file_type(inode).mode_bits() | metadata.mode,
            metadata.uid,
            metadata.gid,
            metadata.mtime.sec,
            metadata.mtime.nsec,
        )?;
        push_field(line, payload);
        line.push(' ');
        push_field(line, content);
        line.push(' ');
        push_field(line, digest.as_bytes());
        for (name, value) in tree.xattrs(inode) {
            line.push(' ');
            push(line, name, Place::Xattr);
            line.push('=');
            push(line, value, Place::Xattr);
        }
        Ok(())
    }

    /// The `nlink` that a file shows.
    fn links(self, inode: InodeId, counts: &[u32]) -> u32 {
        if self.tree.file_type(inode) == FileType::Directory {
            let is_directory = |(_, child)| self.tree.file_type(child) == FileType::Directory;
            let directories =
                self.tree.entries(inode).filter(|(name, child)| is_directory((*name, *child))).count();
            return u32::try_from(directories).unwrap_or(u32::MAX).saturating_add(2);
        }
        counts.get(inode.index()).copied().unwrap_or_default()
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.tree.link_counts();
        // The first name of each file that has several.
        let mut first: HashMap<InodeId, String> = HashMap::new();
        let mut line = String::new();
        let mut walk = self.tree.walk();
        while let Some((path, inode)) = walk.next_entry() {
            line.clear();
            push_field(&mut line, path);
            let links = self.links(inode, &counts);
            if let Some(first) = first.get(&inode) {
                line.push_str(" 0 @120000 - - - - 0.0 ");
                line.push_str(first);
                line.push_str(" - -");
            } else {
                if links > 1 && self.tree.file_type(inode) != FileType::Directory {
                    first.insert(inode, line.clone());
                }
                self.push_file(&mut line, inode, links)?;
            }
            line.push('\n');
            f.write_str(&line)?;
        }
        Ok(())
    }
}
