//! The parser of dumps: any text, line by line, into a tree.
//!
//! Names are linked at the end, sorted: a dump may list a directory in any order at no cost. Memory is linear in the
//! text. Fields that a tree does not keep (link counts, sizes of directories and symlinks) only have to be there.

use std::{borrow::Cow, collections::HashMap};

use super::{
    error::{DumpError, DumpProblem},
    fields::Fields,
    file::{File, Head},
};
use crate::tree::{FileType, InodeId, Tree};

/// The tree of a dump.
///
/// # Errors
/// [`DumpError`] with the first line that is wrong.
pub fn parse(text: &[u8]) -> Result<Tree, DumpError> {
    let mut lines = (1..).zip(text.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.is_empty());
    let at = |line| move |problem| DumpError { line, problem };
    let (number, line) = lines.next().ok_or(DumpError { line: 1, problem: DumpProblem::Root })?;
    let mut parser = Parser::new(line).map_err(at(number))?;
    for (number, line) in lines {
        parser.line(number, line).map_err(at(number))?;
    }
    parser.finish()
}

/// A name that is to be linked.
struct Link<'a> {
    directory: InodeId,
    name: Cow<'a, [u8]>,
    inode: InodeId,
    line: usize,
}

struct Parser<'a> {
    tree: Tree,
    directories: HashMap<Cow<'a, [u8]>, InodeId>,
    /// All files that are no directories, for links: by directory and name.
    files: HashMap<(InodeId, Cow<'a, [u8]>), InodeId>,
    links: Vec<Link<'a>>,
}

impl<'a> Parser<'a> {
    fn new(line: &'a [u8]) -> Result<Self, DumpProblem> {
        let mut fields = Fields::new(line);
        let path = fields.path("path")?;
        let head = Head::read(&mut fields)?;
        if *path != *b"/" || head.is_link || head.file_type != FileType::Directory {
            return Err(DumpProblem::Root);
        }
        let file = File::read(head, fields)?;
        file.content()?;
        let mut tree = Tree::new(file.metadata);
        let set = file.intern(&mut tree)?;
        tree.set_xattrs(tree.root(), set);
        let directories = HashMap::from([(path, tree.root())]);
        Ok(Self { tree, directories, files: HashMap::new(), links: Vec::new() })
    }

    fn line(&mut self, number: usize, line: &'a [u8]) -> Result<(), DumpProblem> {
        let mut fields = Fields::new(line);
        let path = fields.path("path")?;
        let (directory, name) = self.split(&path)?;
        let head = Head::read(&mut fields)?;
        let inode = if head.is_link { self.target(head, fields)? } else { self.add(head, fields)? };
        if self.tree.file_type(inode) == FileType::Directory {
            self.directories.insert(path, inode);
        } else {
            self.files.insert((directory, name.clone()), inode);
        }
        self.links.push(Link { directory, name, inode, line: number });
        Ok(())
    }

    /// The directory that a path is in, and the name there.
    fn split(&self, path: &Cow<'a, [u8]>) -> Result<(InodeId, Cow<'a, [u8]>), DumpProblem> {
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        let parent = path.get(..slash.max(1)).unwrap_or_default();
        let name = match path {
            Cow::Borrowed(path) => Cow::Borrowed(path.get(slash + 1..).unwrap_or_default()),
            Cow::Owned(path) => Cow::Owned(path.get(slash + 1..).unwrap_or_default().to_vec()),
        };
        if name.is_empty() {
            return Err(DumpProblem::Root);
        }
        let directory = self.directories.get(parent).copied();
        Ok((directory.ok_or_else(|| DumpProblem::Missing(parent.escape_ascii().to_string()))?, name))
    }

    fn target(&self, head: Head, mut fields: Fields<'a>) -> Result<InodeId, DumpProblem> {
        if head.file_type == FileType::Directory {
            return Err(DumpProblem::Unsupported("a second name of a directory"));
        }
        for name in ["nlink", "uid", "gid", "rdev", "mtime"] {
            fields.next(name)?;
        }
        let path = fields.path("payload")?;
        let key = self.split(&path)?;
        self.files.get(&key).copied().ok_or_else(|| DumpProblem::Missing(path.escape_ascii().to_string()))
    }

    fn add(&mut self, head: Head, fields: Fields<'a>) -> Result<InodeId, DumpProblem> {
        let file = File::read(head, fields)?;
        let content = file.content()?;
        let set = file.intern(&mut self.tree)?;
        Ok(self.tree.add(file.metadata, content, set)?)
    }

    fn finish(self) -> Result<Tree, DumpError> {
        let Self { mut tree, mut links, .. } = self;
        links.sort_by(|a, b| (a.directory, &a.name).cmp(&(b.directory, &b.name)));
        for Link { directory, name, inode, line } in links {
            tree.link(directory, &name, inode).map_err(|error| DumpError { line, problem: error.into() })?;
        }
        Ok(tree)
    }
}
