//! What a plan says beside its steps, for people and programs: one value for each thing that they ask about.
//!
//! What lives here: the values. What does not: the sections of `/etc` and of bound images, which are their owners'.

use sealstone_boot::{BootError, LoaderKind};
use serde::{Deserialize, Serialize};

use crate::{DeployError, DeploymentId, Record, bound::image_store::is_zero};

/// What has to be fetched, or was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// In bytes, as they are transferred.
    pub bytes: u64,
    /// The layers among them.
    pub layers: usize,
}

/// The kernel arguments of what boots by default, before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KargsSection {
    /// What they are.
    pub before: Vec<String>,
    /// What they will be.
    pub after: Vec<String>,
}

impl KargsSection {
    pub(crate) fn between(before: Option<&Record>, after: &Record) -> Self {
        let list = |record: &Record| record.kargs.iter().map(|recorded| recorded.karg.to_string()).collect();
        Self { before: before.map(list).unwrap_or_default(), after: list(after) }
    }
}

/// What becomes of the deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentsSection {
    /// Those that are made.
    pub added: Vec<DeploymentId>,
    /// Those that stay.
    pub kept: Vec<DeploymentId>,
    /// Those that go.
    pub pruned: Vec<Pruned>,
}

/// A deployment that goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The deployment.
    pub id: DeploymentId,
    /// Why it goes, as a sentence's end: `it is older than 30 days`.
    pub reason: String,
}

/// The boot loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderSection {
    /// Which one.
    pub kind: LoaderKind,
    /// The version that the image has.
    pub version: Option<String>,
    /// The files that are written, of all boot partitions.
    pub written: Vec<LoaderWrite>,
}

/// A file of a boot loader that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderWrite {
    /// The boot partition.
    pub place: String,
    /// The path there.
    pub path: String,
    /// The version that is there now, if it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The boot entries of all boot partitions, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntriesSection {
    /// Those that are written.
    pub added: Vec<String>,
    /// Those that stay as they are.
    pub kept: Vec<String>,
    /// Those that go.
    pub removed: Vec<String>,
}

/// The room that a plan needs on a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The file system, by a directory on it.
    pub place: String,
    /// What will be written, in bytes, whole blocks counted.
    pub needed: u64,
    /// How much of that is a guess, in bytes: nothing is refused for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guessed: u64,
    /// What is free, in bytes.
    pub free: u64,
    /// What is given back before anything is written, in bytes.
    pub freed: u64,
    /// How many files of all kinds will be made.
    pub inodes_needed: u64,
    /// How many can be made; 0 where the file system does not count them.
    pub inodes_free: u64,
}

impl Room {
    /// Of a file system whose inodes are not counted.
    pub(super) const fn of_bytes(place: String, needed: u64, free: u64, freed: u64) -> Self {
        Self { place, needed, guessed: 0, free, freed, inodes_needed: 0, inodes_free: 0 }
    }

    /// Whether it suffices for all that is certain.
    #[must_use]
    pub const fn suffices(&self) -> bool {
        self.has_bytes() && self.has_inodes()
    }

    /// Whether it suffices for what is guessed as well.
    #[must_use]
    pub const fn suffices_for_guesses(&self) -> bool {
        self.needed <= self.free.saturating_add(self.freed) && self.suffices()
    }

    const fn certain(&self) -> u64 {
        self.needed.saturating_sub(self.guessed)
    }

    const fn has_bytes(&self) -> bool {
        self.certain() <= self.free.saturating_add(self.freed)
    }

    const fn has_inodes(&self) -> bool {
        self.inodes_free == 0 || self.inodes_needed <= self.inodes_free
    }

    /// What is too little of it, if it does not suffice.
    pub(crate) fn shortage(&self) -> Option<DeployError> {
        let (place, needed, free) = if !self.has_bytes() {
            (self.place.clone(), self.certain().saturating_sub(self.freed), self.free)
        } else if !self.has_inodes() {
            (format!("{} (counted in inodes)", self.place), self.inodes_needed, self.inodes_free)
        } else {
            return None;
        };
        Some(BootError::NoSpace { place, needed, free }.into())
    }
}
