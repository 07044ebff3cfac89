//! The merge itself: one walk down the three trees at once.
//!
//! What lives here: what becomes of folders, and of folders that meet files; single files are in `leaf.rs`. What does not:
//! the disk: current is a tree like the others, and what content stays on the disk is told by path.
//! Invariants: a folder is in the result if the image or the machine wants it, or anything in it; memory is that of the
//! result and of the folders that are open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use sealstone_store::tree::{Content, FileType, InodeId, Metadata, Tree};

use super::{
    ConflictKind, EtcChange, EtcConflict, EtcIgnored, EtcMerge, EtcPolicy, EtcStrategy, Ignored,
    attributes::Attributes,
    carve::Copier,
    leaf::{File, Outcome, Verdict, Winner, decide, differences, folder_attributes, local_change, winner},
    report::shown,
};
use crate::DeployError;

/// What `ConditionNeedsUpdate=` looks at (systemd.unit(5)): it is of one `/usr`, and never goes to another.
const UPDATED: &[u8] = b"/.updated";

/// The three states of `/etc`. A folder that is `None` is empty.
pub(crate) struct Sides<'a> {
    /// What the old image brought, overlays included.
    pub pristine: (&'a Tree, Option<InodeId>),
    /// What the machine has.
    pub current: (&'a Tree, Option<InodeId>),
    /// What the new image brings, overlays included.
    pub new: (&'a Tree, Option<InodeId>),
    /// What of the machine's takes no part, by path from the folder on.
    pub ignored: &'a BTreeMap<Vec<u8>, Ignored>,
    /// What overlays bring that this deployment adds, by path from `/etc` on.
    pub asked: &'a BTreeSet<Vec<u8>>,
    pub strategies: &'a EtcPolicy,
    /// Whether owners and privileged attributes of the machine mean anything.
    pub is_root: bool,
}

/// The result.
pub(crate) struct Merged {
    /// The new `/etc`, as the root.
    pub tree: Tree,
    /// The files whose content is on the disk, by their path from the current folder on.
    pub local: HashMap<InodeId, PathBuf>,
    pub report: EtcMerge,
}

/// Merges. Conflicts that nobody decided are in the report; the result has the machine's side of them.
pub(crate) fn merge(sides: &Sides<'_>) -> Result<Merged, DeployError> {
    let file = |(tree, inode): (_, Option<InodeId>)| inode.map(|inode| File { tree, inode });
    let tops = Three { old: file(sides.pristine), local: file(sides.current), image: file(sides.new) };
    let plain = tops.image.or(tops.local);
    let metadata = plain.map_or_else(empty_folder, |file| file.tree.metadata(file.inode));
    let mut merge = Merge {
        sides,
        merged: Merged { tree: Tree::new(metadata), local: HashMap::new(), report: EtcMerge::default() },
        of_local: Copier::new(sides.current.0),
        of_image: Copier::new(sides.new.0),
    };
    let root = merge.merged.tree.root();
    let mut top = merge.open(tops, b"", true)?;
    // What was made for the top has no name: the root is the folder itself.
    let (metadata, set) = (merge.merged.tree.metadata(top.made), merge.merged.tree.xattr_set(top.made));
    merge.merged.tree.set_metadata(root, metadata);
    merge.merged.tree.set_xattrs(root, set);
    top.made = root;
    merge.walk(top)?;
    let ignored = sides.ignored.iter();
    merge.merged.report.ignored =
        ignored.map(|(path, is)| EtcIgnored { path: shown(&named(path)), is: *is }).collect();
    Ok(merge.merged)
}

fn empty_folder() -> Metadata {
    let mtime = sealstone_store::tree::Timestamp { sec: 0, nsec: 0 };
    Metadata { mode: 0o755, uid: 0, gid: 0, mtime }
}

/// A path from the folder on, as one from the root on.
fn named(path: &[u8]) -> Vec<u8> {
    [b"/etc", path].concat()
}

/// What the three sides have of one path.
#[derive(Clone, Copy)]
struct Three<'a> {
    old: Option<File<'a>>,
    local: Option<File<'a>>,
    image: Option<File<'a>>,
}

impl<'a> Three<'a> {
    fn child(self, name: &[u8]) -> Self {
        let of = |side: Option<File<'a>>| {
            let File { tree, inode } = side?;
            tree.lookup(inode, name).map(|inode| File { tree, inode })
        };
        // Nobody compares devices and their like: only the new image's count.
        let old = of(self.old).filter(|old| !is_special(*old));
        Self { old, local: of(self.local), image: of(self.image) }
    }

    fn names(self) -> Vec<Vec<u8>> {
        let sides = [self.old, self.local, self.image].into_iter().flatten();
        let names = sides.flat_map(|side| side.tree.entries(side.inode).map(|(name, _)| name.to_vec()));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn is_special(file: File<'_>) -> bool {
    !matches!(file.kind(), FileType::Regular | FileType::Directory | FileType::Symlink)
}

/// A folder of the result that is being filled.
struct Open<'a> {
    sides: Three<'a>,
    path: Vec<u8>,
    names: std::vec::IntoIter<Vec<u8>>,
    made: InodeId,
    /// Whether it is there with nothing in it.
    is_wanted: bool,
    has_children: bool,
    /// Whether what is below was reported with it.
    is_told: bool,
}

struct Merge<'a> {
    sides: &'a Sides<'a>,
    merged: Merged,
    of_local: Copier<'a>,
    of_image: Copier<'a>,
}

/// What became of a path.
enum Made<'a> {
    Nothing,
    File(InodeId),
    Folder(Open<'a>),
}

impl<'a> Merge<'a> {
    fn walk(&mut self, top: Open<'a>) -> Result<(), DeployError> {
        let mut open = vec![top];
        while let Some(here) = open.last_mut() {
            if let Some(name) = here.names.next() {
                let path = [&here.path, b"/".as_slice(), &name].concat();
                let sides = here.sides.child(&name);
                let is_gone = here.sides.old.is_some() && here.sides.local.is_none();
                let is_told = here.is_told;
                if !is_gone && !is_told {
                    self.note_change(sides, &path);
                }
                match self.path(sides, &path)? {
                    Made::Nothing => {}
                    Made::File(inode) => {
                        here.has_children = true;
                        self.merged.tree.link(here.made, &name, inode)?;
                    }
                    Made::Folder(folder) => open.push(Open { is_told: is_told || folder.is_told, ..folder }),
                }
                continue;
            }
            let Some(done) = open.pop() else { break };
            if let Some(parent) = open.last_mut().filter(|_| done.is_wanted || done.has_children) {
                let name = done.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                parent.has_children = true;
                self.merged.tree.link(parent.made, name, done.made)?;
            }
        }
        Ok(())
    }

    /// One path.
    fn path(&mut self, sides: Three<'a>, path: &[u8]) -> Result<Made<'a>, DeployError> {
        if path == UPDATED {
            return Ok(Made::Nothing);
        }
        let only_image = Three { old: None, local: None, image: sides.image };
        if self.sides.ignored.contains_key(path) || sides.image.is_some_and(is_special) {
            return self.whole(only_image, path);
        }
        let Three { old, local, image } = sides;
        let is_folder = |side: Option<File<'_>>| side.is_some_and(File::is_folder);
        match (local, image) {
            (Some(_), Some(_)) if is_folder(local) != is_folder(image) => self.type_conflict(sides, path),
            (None, Some(image)) if image.is_folder() => match old {
                Some(old) if !old.is_folder() => self.one_sided(ConflictKind::RemovedLocally, sides, path),
                // Removed with what was in it; what the image adds there brings it back.
                old => Ok(Made::Folder(self.open(sides, path, old.is_none())?)),
            },
            (Some(local), None) if local.is_folder() => match old {
                Some(old) if !old.is_folder() => self.one_sided(ConflictKind::RemovedByImage, sides, path),
                old => Ok(Made::Folder(self.open(sides, path, old.is_none())?)),
            },
            (Some(local), Some(_)) if local.is_folder() => Ok(Made::Folder(self.open(sides, path, true)?)),
            _ => self.leaf(sides, path),
        }
    }

    fn note_change(&mut self, Three { old, local, .. }: Three<'a>, path: &[u8]) {
        if path == UPDATED || self.sides.ignored.contains_key(path) {
            return;
        }
        if let Some((change, what)) = local_change(old, local, self.sides.is_root) {
            self.merged.report.changes.push(EtcChange { path: shown(&named(path)), change, what });
        }
    }

    /// What is done about a conflict at a path, which is noted.
    fn resolve(&mut self, kind: ConflictKind, reason: &str, path: &[u8]) -> EtcStrategy {
        let path = named(path);
        let resolved = self.sides.strategies.decide(&path, kind, self.sides.asked);
        let (path, reason) = (shown(&path), reason.to_owned());
        self.merged.report.conflicts.push(EtcConflict { path, kind, reason, resolved });
        resolved
    }

    /// A folder on one side only, where there was a file that the other side removed.
    fn one_sided(
        &mut self,
        kind: ConflictKind,
        sides: Three<'a>,
        path: &[u8],
    ) -> Result<Made<'a>, DeployError> {
        let reason = match kind {
            ConflictKind::RemovedLocally => "removed on the machine, a folder in the image",
            _ => "a folder on the machine, removed in the image",
        };
        let strategy = self.resolve(kind, reason, path);
        self.whole_of(winner(strategy), sides, path)
    }

    /// A folder on one side, something else on the other.
    fn type_conflict(&mut self, sides: Three<'a>, path: &[u8]) -> Result<Made<'a>, DeployError> {
        let is_as_before = |side: Option<File<'a>>| match (sides.old, side) {
            (Some(old), Some(side)) => same_below(old, side, self.sides.is_root),
            _ => false,
        };
        if is_as_before(sides.local) {
            return self.whole_of(Winner::Image, sides, path);
        }
        if is_as_before(sides.image) {
            return self.whole_of(Winner::Local, sides, path);
        }
        let (local, image) = (kind_of(sides.local), kind_of(sides.image));
        let reason = format!("{local} on the machine, {image} in the image");
        let strategy = self.resolve(ConflictKind::Type, &reason, path);
        self.whole_of(winner(strategy), sides, path)
    }

    fn whole_of(&mut self, side: Winner, sides: Three<'a>, path: &[u8]) -> Result<Made<'a>, DeployError> {
        let none = Three { old: None, local: None, image: None };
        match side {
            Winner::Local => self.whole(Three { local: sides.local, ..none }, path),
            Winner::Image => self.whole(Three { image: sides.image, ..none }, path),
        }
    }

    /// All that one side has of a path.
    fn whole(&mut self, side: Three<'a>, path: &[u8]) -> Result<Made<'a>, DeployError> {
        Ok(match side.image.or(side.local) {
            None => Made::Nothing,
            Some(folder) if folder.is_folder() => {
                Made::Folder(Open { is_told: true, ..self.open(side, path, true)? })
            }
            Some(_) => Made::File(self.take(side, path)?),
        })
    }

    fn leaf(&mut self, sides: Three<'a>, path: &[u8]) -> Result<Made<'a>, DeployError> {
        let three = (sides.old, sides.local, sides.image);
        let (strategies, asked, full) = (self.sides.strategies, self.sides.asked, named(path));
        let strategy = |kind| strategies.decide(&full, kind, asked);
        let Verdict { outcome, conflict, .. } = decide(three, self.sides.is_root, &strategy);
        if let Some((kind, reason)) = conflict {
            self.resolve(kind, &reason, path);
        }
        match outcome {
            Outcome::Whole(side) => self.whole_of(side, sides, path),
            Outcome::Mixed(side, attributes) => {
                let content = if side == Winner::Local { sides.local } else { sides.image };
                let Some(content) = content else { return Ok(Made::Nothing) };
                let made = self.make(content, &attributes)?;
                if side == Winner::Local {
                    self.note_local(made, path);
                }
                Ok(Made::File(made))
            }
        }
    }

    /// A folder of the result, with attributes of both sides where both have it.
    fn open(&mut self, sides: Three<'a>, path: &[u8], is_wanted: bool) -> Result<Open<'a>, DeployError> {
        let is_folder = |side: Option<File<'a>>| side.filter(|side| side.is_folder());
        let sides =
            Three { old: is_folder(sides.old), local: is_folder(sides.local), image: is_folder(sides.image) };
        let made = match (sides.local, sides.image) {
            (Some(local), Some(image)) => {
                let (strategies, asked, full) = (self.sides.strategies, self.sides.asked, named(path));
                let strategy = |kind| strategies.decide(&full, kind, asked);
                let three = (sides.old, local, image);
                let (attributes, conflict) = folder_attributes(three, self.sides.is_root, &strategy);
                if let Some((kind, reason)) = conflict {
                    self.resolve(kind, &reason, path);
                }
                self.make(image, &attributes)?
            }
            (Some(_), None) | (None, Some(_)) => self.take(sides, path)?,
            (None, None) => {
                let none = sealstone_store::tree::XattrSet::EMPTY;
                self.merged.tree.add(empty_folder(), Content::Directory, none)?
            }
        };
        let names = sides.names().into_iter();
        Ok(Open { sides, path: path.to_vec(), names, made, is_wanted, has_children: false, is_told: false })
    }

    /// One side's file as it is: the image's if it has one.
    fn take(&mut self, sides: Three<'a>, path: &[u8]) -> Result<InodeId, DeployError> {
        let tree = &mut self.merged.tree;
        if let Some(image) = sides.image {
            return self.of_image.inode(tree, image.inode);
        }
        let Some(local) = sides.local else { return Ok(tree.root()) };
        let made = self.of_local.inode(tree, local.inode)?;
        self.note_local(made, path);
        Ok(made)
    }

    fn note_local(&mut self, made: InodeId, path: &[u8]) {
        if matches!(self.merged.tree.content(made), Content::External { .. }) {
            let path = path.strip_prefix(b"/").unwrap_or(path);
            self.merged.local.insert(made, PathBuf::from(OsStr::from_bytes(path)));
        }
    }

    /// A file's content with other attributes.
    fn make(&mut self, file: File<'a>, attributes: &Attributes<'a>) -> Result<InodeId, DeployError> {
        let was = file.tree.metadata(file.inode);
        let (uid, gid) = attributes.owner;
        let metadata = Metadata { mode: attributes.mode.unwrap_or(was.mode), uid, gid, ..was };
        let pairs = attributes.xattrs.iter().chain(&attributes.of_content);
        let pairs: Vec<_> = pairs.map(|(key, value)| (*key, *value)).collect();
        let tree = &mut self.merged.tree;
        let set = tree.intern_xattrs(&pairs)?;
        Ok(tree.add(metadata, file.tree.content(file.inode), set)?)
    }
}

/// What is at a path, with its article.
fn kind_of(side: Option<File<'_>>) -> &'static str {
    match side.map(|file| file.tree.content(file.inode)) {
        None => "nothing",
        Some(Content::Directory) => "a folder",
        Some(Content::Symlink(_)) => "a symlink",
        Some(Content::Inline(_) | Content::External { .. }) => "a file",
        Some(_) => "a special file",
    }
}

/// Whether two files are the same, with all that is in them.
fn same_below(a: File<'_>, b: File<'_>, is_root: bool) -> bool {
    let mut to_compare = vec![(a, b)];
    while let Some((a, b)) = to_compare.pop() {
        if !differences(a, b, is_root).is_empty() {
            return false;
        }
        let (mine, others) = (a.tree.entries(a.inode), b.tree.entries(b.inode));
        if mine.len() != others.len()
            || mine.clone().map(|(name, _)| name).ne(others.clone().map(|(name, _)| name))
        {
            return false;
        }
        let file = |tree, inode| File { tree, inode };
        to_compare.extend(mine.zip(others).map(|((_, x), (_, y))| (file(a.tree, x), file(b.tree, y))));
    }
    true
}

/// What was changed on a machine since its image was deployed: the current folder against the pristine one.
pub(crate) fn changes(sides: &Sides<'_>) -> Result<Vec<EtcChange>, DeployError> {
    let unchanged = Sides { new: sides.pristine, ..*sides };
    Ok(merge(&unchanged)?.report.changes)
}
