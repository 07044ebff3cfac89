//! What becomes of one path that is no folder on either side: unchanged, changed here, changed there, or both.

use sealstone_store::{
    Algorithm,
    tree::{Content, FileType, InodeId, Tree},
    verity,
};

use super::{
    Changed, ConflictKind, EtcStrategy,
    attributes::{Attributes, merge_attributes},
};

/// A file of one of the trees.
#[derive(Clone, Copy)]
pub(super) struct File<'t> {
    pub tree: &'t Tree,
    pub inode: InodeId,
}

impl<'t> File<'t> {
    pub(super) fn kind(self) -> FileType {
        self.tree.file_type(self.inode)
    }

    pub(super) fn is_folder(self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn attributes(self) -> Attributes<'t> {
        Attributes::of(self.tree, self.inode)
    }

    fn has_content_of(self, other: Self) -> bool {
        match (self.tree.content(self.inode), other.tree.content(other.inode)) {
            // Whoever made an image may keep small files otherwise than we do.
            (Content::External { object, size }, Content::Inline(bytes))
            | (Content::Inline(bytes), Content::External { object, size }) => {
                size == bytes.len() as u64 && digest(object.algorithm(), bytes) == object
            }
            (mine, others) => mine == others,
        }
    }
}

fn digest(algorithm: Algorithm, bytes: &[u8]) -> sealstone_store::ObjectId {
    verity::digest(algorithm, bytes)
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Local,
    Image,
}

/// What becomes of a path.
pub(super) enum Outcome<'t> {
    /// That side's file as it is, or nothing if it has none.
    Whole(Winner),
    /// That side's content with merged attributes.
    Mixed(Winner, Attributes<'t>),
}

/// What the path's three files say.
pub(super) struct Verdict<'t> {
    pub outcome: Outcome<'t>,
    pub conflict: Option<(ConflictKind, String)>,
}

/// What differs between two files, as a report names it; nothing if they are the same.
pub(super) fn differences(before: File<'_>, after: File<'_>, is_root: bool) -> Vec<String> {
    if before.kind() != after.kind() {
        return vec!["type".to_owned()];
    }
    let (mut old, mut new) = (before.attributes(), after.attributes());
    new.level(&mut old, is_root);
    let mut found = Vec::new();
    if !after.has_content_of(before) {
        found.push("content".to_owned());
    }
    found.extend(new.differences(&old));
    found
}

/// The local change of a path.
pub(super) fn local_change(
    old: Option<File<'_>>,
    local: Option<File<'_>>,
    is_root: bool,
) -> Option<(Changed, Vec<String>)> {
    match (old, local) {
        (None, None) => None,
        (None, Some(_)) => Some((Changed::Added, Vec::new())),
        (Some(_), None) => Some((Changed::Removed, Vec::new())),
        (Some(old), Some(local)) => {
            let what = differences(old, local, is_root);
            (!what.is_empty()).then_some((Changed::Modified, what))
        }
    }
}

/// Decides on a path where neither the machine nor the new image has a folder. `strategy` is asked in a conflict.
pub(super) fn decide<'t>(
    (old, local, image): (Option<File<'t>>, Option<File<'t>>, Option<File<'t>>),
    is_root: bool,
    strategy: &dyn Fn(ConflictKind) -> EtcStrategy,
) -> Verdict<'t> {
    let whole = |winner| Verdict { outcome: Outcome::Whole(winner), conflict: None };
    if local_change(old, local, is_root).is_none() {
        return whole(Winner::Image);
    }
    if local_change(old, image, true).is_none() {
        return whole(Winner::Local);
    }
    let (kind, reason) = match (local, image) {
        (None, None) => return whole(Winner::Image),
        (Some(local), Some(image)) => return both(old, local, image, is_root, strategy),
        (None, Some(_)) => (ConflictKind::RemovedLocally, "removed on the machine, changed in the image"),
        (Some(_), None) => (ConflictKind::RemovedByImage, "changed on the machine, removed in the image"),
    };
    let outcome = Outcome::Whole(winner(strategy(kind)));
    Verdict { outcome, conflict: Some((kind, reason.to_owned())) }
}

pub(super) const fn winner(strategy: EtcStrategy) -> Winner {
    match strategy {
        EtcStrategy::TakeImage => Winner::Image,
        EtcStrategy::KeepLocal | EtcStrategy::Fail => Winner::Local,
    }
}

/// Both sides have a file, and both changed it.
fn both<'t>(
    old: Option<File<'t>>,
    local: File<'t>,
    image: File<'t>,
    is_root: bool,
    strategy: &dyn Fn(ConflictKind) -> EtcStrategy,
) -> Verdict<'t> {
    let kind = ConflictKind::BothChanged;
    if differences(image, local, is_root).is_empty() {
        return Verdict { outcome: Outcome::Whole(Winner::Image), conflict: None };
    }
    if local.kind() != image.kind() {
        let conflict = Some((kind, "machine and image made different things of it".to_owned()));
        return Verdict { outcome: Outcome::Whole(winner(strategy(kind))), conflict };
    }
    let decide = || strategy(kind);
    let mut disputed = Vec::new();
    let old = old.filter(|old| old.kind() == local.kind());
    let (mut mine, theirs) = (local.attributes(), image.attributes());
    let mut before = old.map(File::attributes);
    // Without an old file, only the new one says what the machine could not set.
    mine.level(before.as_mut().unwrap_or(&mut theirs.clone()), is_root);
    let equal = |a: (File<'t>, &Attributes<'t>), b: (File<'t>, &Attributes<'t>)| {
        a.0.has_content_of(b.0) && a.1.of_content == b.1.of_content
    };
    let same_as_old = |side: (File<'t>, &Attributes<'t>)| {
        old.zip(before.as_ref()).is_some_and(|(file, attributes)| equal(side, (file, attributes)))
    };
    let content = if equal((local, &mine), (image, &theirs)) || same_as_old((local, &mine)) {
        Winner::Image
    } else if same_as_old((image, &theirs)) {
        Winner::Local
    } else {
        disputed.push("content".to_owned());
        winner(decide())
    };
    let mut merged = merge_attributes(before.as_ref(), &mine, &theirs, &mut disputed, decide);
    merged.of_content = if content == Winner::Local { mine.of_content } else { theirs.of_content };
    let conflict = (!disputed.is_empty()).then(|| (kind, format!("both changed: {}", disputed.join(", "))));
    Verdict { outcome: Outcome::Mixed(content, merged), conflict }
}

/// A folder's attributes, merged: whose file it is means nothing then.
pub(super) fn folder_attributes<'t>(
    (old, local, image): (Option<File<'t>>, File<'t>, File<'t>),
    is_root: bool,
    strategy: &dyn Fn(ConflictKind) -> EtcStrategy,
) -> (Attributes<'t>, Option<(ConflictKind, String)>) {
    let verdict = both(old, local, image, is_root, strategy);
    match verdict.outcome {
        Outcome::Mixed(_, attributes) => (attributes, verdict.conflict),
        Outcome::Whole(_) => (image.attributes(), None),
    }
}
