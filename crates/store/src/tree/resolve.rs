//! From a path to an inode, symbolic links followed inside the tree.
//!
//! The root is its own parent and absolute targets start at it: no path leaves the tree (as `openat2` with
//! `RESOLVE_IN_ROOT`). At most 40 links are followed, as Linux does (`MAXSYMLINKS`).

use super::{Content, FileType, InodeId, Tree, TreeError, quoted};

/// Linux's limit on symbolic links in one resolution.
const LINKS_MAX: usize = 40;

impl Tree {
    /// The file at a path from the root, with all symbolic links followed, the last one too.
    ///
    /// # Errors
    /// [`TreeError::Missing`], [`TreeError::NotADirectory`] or [`TreeError::Loop`], with the path.
    pub fn resolve(&self, path: &[u8]) -> Result<InodeId, TreeError> {
        self.resolve_from(path, true)
    }

    /// The file at a path from the root; a symbolic link at its end is not followed (as `lstat`).
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_no_follow(&self, path: &[u8]) -> Result<InodeId, TreeError> {
        self.resolve_from(path, false)
    }

    fn resolve_from(&self, path: &[u8], follow_last: bool) -> Result<InodeId, TreeError> {
        // The directories from the root to where we are, and what is still to walk, last first.
        let mut way = vec![self.root()];
        let mut to_walk: Vec<&[u8]> = components(path).rev().collect();
        let mut links = 0;
        while let Some(name) = to_walk.pop() {
            let here = way.last().copied().unwrap_or_else(|| self.root());
            if self.file_type(here) != FileType::Directory {
                return Err(TreeError::NotADirectory(quoted(path)));
            }
            if name == b".." {
                way.pop();
                continue;
            }
            let inode = self.lookup(here, name).ok_or_else(|| TreeError::Missing(quoted(path)))?;
            match self.content(inode) {
                Content::Symlink(target) if follow_last || !to_walk.is_empty() => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(TreeError::Loop(quoted(path)));
                    }
                    if target.starts_with(b"/") {
                        way.clear();
                    }
                    to_walk.extend(components(target).rev());
                }
                _ => way.push(inode),
            }
        }
        Ok(way.last().copied().unwrap_or_else(|| self.root()))
    }
}

/// The parts of a path that mean a step.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}
