//! A tree's files in preorder, each with its full path.

use super::{FileType, InodeId, Tree};

/// Visits every name below a directory, that directory first, children bytewise: a directory comes before what is in
/// it. A file with several links is met at each.
///
/// Not an [`Iterator`], since it lends its one path buffer: call [`next_entry`](Self::next_entry).
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a Tree,
    path: Vec<u8>,
    /// For each open directory: itself, how many of its entries were visited, and its path's length.
    open: Vec<(InodeId, usize, usize)>,
    start: Option<InodeId>,
}

impl Tree {
    /// Visits the whole tree, the root (path `/`) first.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        self.walk_from(self.root(), b"/")
    }

    /// Visits a subtree; `path` is what its top is called.
    #[must_use]
    pub fn walk_from(&self, top: InodeId, path: &[u8]) -> Walk<'_> {
        Walk { tree: self, path: path.to_vec(), open: Vec::new(), start: Some(top) }
    }
}

impl Walk<'_> {
    /// The next path and file, until all were visited.
    pub fn next_entry(&mut self) -> Option<(&[u8], InodeId)> {
        let inode = match self.start.take() {
            Some(top) => top,
            None => self.descend()?,
        };
        if self.tree.file_type(inode) == FileType::Directory {
            // The root's path is its slash: no second one before its children.
            let base = if self.path.ends_with(b"/") { self.path.len() - 1 } else { self.path.len() };
            self.open.push((inode, 0, base));
        }
        Some((&self.path, inode))
    }

    fn descend(&mut self) -> Option<InodeId> {
        loop {
            let (directory, visited, base) = self.open.last_mut()?;
            let entry = self.tree.table(*directory).get(*visited);
            self.path.truncate(*base);
            if let Some(entry) = entry {
                *visited += 1;
                self.path.push(b'/');
                self.path.extend_from_slice(self.tree.name(entry));
                return Some(entry.inode);
            }
            self.open.pop();
        }
    }
}
