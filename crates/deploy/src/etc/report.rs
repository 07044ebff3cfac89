//! What a merge of `/etc` found: local changes, conflicts and how each was resolved, what was left out.

use serde::{Deserialize, Serialize};

use super::EtcStrategy;

/// What a merge found, in the order of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcMerge {
    /// What was changed on the machine since the image was deployed.
    pub changes: Vec<EtcChange>,
    /// Where machine and image changed the same thing in different ways.
    pub conflicts: Vec<EtcConflict>,
    /// What is in the folder and takes no part in the merge.
    pub ignored: Vec<EtcIgnored>,
}

impl EtcMerge {
    /// The conflicts that nobody decided: the merge must not be written.
    pub fn unresolved(&self) -> impl Iterator<Item = &EtcConflict> {
        self.conflicts.iter().filter(|conflict| conflict.resolved == EtcStrategy::Fail)
    }
}

/// One local change. All that is below a removed folder is removed with it, and not listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EtcChange {
    /// The path, from `/etc` on; what is no UTF-8 is escaped.
    pub path: String,
    /// What happened to it.
    pub change: Changed,
    /// Of a modified file, what differs: `type`, `content`, `mode`, `owner`, `xattr NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<String>,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// The old image does not have it.
    Added,
    /// It is not as in the old image.
    Modified,
    /// Only the old image has it.
    Removed,
}

/// One path that machine and image changed in different ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcConflict {
    /// The path, from `/etc` on; what is no UTF-8 is escaped.
    pub path: String,
    /// What kind of conflict it is.
    pub kind: ConflictKind,
    /// What each side did.
    pub reason: String,
    /// Who wins.
    pub resolved: EtcStrategy,
}

/// Kinds of conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConflictKind {
    /// Both have the file, and changed the same thing of it.
    BothChanged,
    /// The machine removed what the image changed.
    RemovedLocally,
    /// The image removed what the machine changed.
    RemovedByImage,
    /// It is a folder on one side and something else on the other.
    Type,
}

/// One path that takes no part: the new image's file of this name, if it has one, is there afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcIgnored {
    /// The path, from `/etc` on; what is no UTF-8 is escaped.
    pub path: String,
    /// What it is.
    pub is: Ignored,
}

/// What takes no part in a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ignored {
    /// A socket, fifo or device.
    Special,
    /// Another file system is mounted there.
    MountPoint,
    /// Only root may read it.
    Unreadable,
}

/// A path as a report shows it.
pub(super) fn shown(path: &[u8]) -> String {
    std::str::from_utf8(path).map_or_else(|_| path.escape_ascii().to_string(), str::to_owned)
}
