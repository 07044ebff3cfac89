//! What is compared of a file besides its content: mode, owner, extended attributes; each merged on its own.

use std::collections::BTreeMap;

use sealstone_store::tree::{FileType, InodeId, Metadata, Tree};

use super::EtcStrategy;
use crate::selinux::SELINUX_XATTR;

/// Attributes that vouch for a content: they stay with it.
const OF_CONTENT: [&[u8]; 3] = [b"security.capability", b"security.evm", b"security.ima"];

/// Mode, owner and extended attributes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes<'t> {
    /// `None` of a symlink, whose mode means nothing.
    pub mode: Option<u16>,
    pub owner: (u32, u32),
    pub xattrs: BTreeMap<&'t [u8], &'t [u8]>,
    /// Those of the extended attributes that belong to the content.
    pub of_content: BTreeMap<&'t [u8], &'t [u8]>,
}

impl<'t> Attributes<'t> {
    pub(super) fn of(tree: &'t Tree, inode: InodeId) -> Self {
        let Metadata { mode, uid, gid, .. } = tree.metadata(inode);
        let is_symlink = tree.file_type(inode) == FileType::Symlink;
        let (of_content, xattrs) = tree.xattrs(inode).partition(|(name, _)| OF_CONTENT.contains(name));
        Self { mode: (!is_symlink).then_some(mode), owner: (uid, gid), xattrs, of_content }
    }

    /// Takes over from another what cannot tell the two apart: a label that only one has, and, without root, what only
    /// root could have set.
    pub(super) fn level(&mut self, other: &mut Self, is_root: bool) {
        match (self.xattrs.get(SELINUX_XATTR).copied(), other.xattrs.get(SELINUX_XATTR).copied()) {
            (None, Some(label)) => drop(self.xattrs.insert(SELINUX_XATTR, label)),
            (Some(label), None) => drop(other.xattrs.insert(SELINUX_XATTR, label)),
            _ => {}
        }
        if !is_root {
            self.owner = other.owner;
            self.of_content.clone_from(&other.of_content);
            let for_root = |key: &[u8]| key.starts_with(b"security.") || key.starts_with(b"trusted.");
            self.xattrs.retain(|key, _| !for_root(key));
            let others = other.xattrs.iter().filter(|(key, _)| for_root(key));
            self.xattrs.extend(others.map(|(key, value)| (*key, *value)));
        }
    }

    /// What differs, as a report names it; of `content`, the attributes that belong to it.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.mode.is_some() && other.mode.is_some() && self.mode != other.mode {
            found.push("mode".to_owned());
        }
        if self.owner != other.owner {
            found.push("owner".to_owned());
        }
        for (mine, others) in [(&self.xattrs, &other.xattrs), (&self.of_content, &other.of_content)] {
            let keys = mine.keys().chain(others.keys()).filter(|key| mine.get(*key) != others.get(*key));
            let mut keys: Vec<_> = keys.copied().collect();
            keys.sort_unstable();
            keys.dedup();
            found.extend(keys.into_iter().map(|key| format!("xattr {}", key.escape_ascii())));
        }
        found
    }
}

/// One value, merged: what is in all three, or the side that changed it, or both did.
pub(super) fn three_way<T: PartialEq + Copy>(old: Option<T>, local: T, image: T) -> Result<T, (T, T)> {
    if local == image || old == Some(image) {
        Ok(local)
    } else if old == Some(local) {
        Ok(image)
    } else {
        Err((local, image))
    }
}

/// Mode, owner and extended attributes (but for those of the content), each merged on its own. What both sides changed
/// differently is named in `disputed`, and is what `strategy` says.
pub(super) fn merge_attributes<'t>(
    old: Option<&Attributes<'t>>,
    local: &Attributes<'t>,
    image: &Attributes<'t>,
    disputed: &mut Vec<String>,
    strategy: impl Fn() -> EtcStrategy,
) -> Attributes<'t> {
    let mut merged = image.clone();
    merged.mode = match three_way(old.map(|old| old.mode), local.mode, image.mode) {
        Ok(mode) => mode,
        Err(sides) => dispute("mode".into(), sides, disputed, &strategy),
    };
    merged.owner = match three_way(old.map(|old| old.owner), local.owner, image.owner) {
        Ok(owner) => owner,
        Err(sides) => dispute("owner".into(), sides, disputed, &strategy),
    };
    let mut keys: Vec<&[u8]> = local.xattrs.keys().chain(image.xattrs.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let of = |side: &Attributes<'t>| side.xattrs.get(key).copied();
        // A file that is new on both sides had no attribute before.
        let value = match three_way(Some(old.and_then(of)), of(local), of(image)) {
            Ok(value) => value,
            Err(sides) => dispute(format!("xattr {}", key.escape_ascii()), sides, disputed, &strategy),
        };
        match value {
            Some(value) => drop(merged.xattrs.insert(key, value)),
            None => drop(merged.xattrs.remove(key)),
        }
    }
    merged
}

fn dispute<T>(
    what: String,
    (local, image): (T, T),
    disputed: &mut Vec<String>,
    strategy: &impl Fn() -> EtcStrategy,
) -> T {
    disputed.push(what);
    if strategy() == EtcStrategy::TakeImage { image } else { local }
}
