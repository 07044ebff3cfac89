//! Oddities of a layer that are accepted, but worth telling.

use std::fmt;

use super::{Normalisation, Notes, Reason, Strictness};
use crate::{Limits, decompress::Compression};

/// An oddity of a layer. Paths are normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The layer has this path more than once: the last entry wins.
    DuplicatePath {
        /// The path.
        path: Box<[u8]>,
    },
    /// Bytes that are not zero after the end of the archive: nobody but `tar -i` sees what is there.
    DataAfterEnd {
        /// The offset of the first such byte in the tar.
        offset: u64,
    },
    /// A hardlink's own mode, owner, time or attributes are not its target's: they are ignored.
    HardlinkMetadata {
        /// The link's path.
        path: Box<[u8]>,
    },
    /// An entry without a body (types 1 to 6) states a size: it is taken as zero, as Go and GNU tar do.
    SizeIgnored {
        /// The entry's path.
        path: Box<[u8]>,
    },
    /// Several extended headers of one kind before one entry: the last replaces those before it.
    RepeatedExtendedHeader {
        /// The header's type: `x`, `L` or `K`.
        kind: u8,
    },
    /// A global header names a path, a link or a size: it is ignored, as global headers are.
    GlobalOverride {
        /// The record's key.
        key: Box<[u8]>,
    },
    /// A GNU long name (or link) and a PAX one that differ: GNU's is taken, as Go does.
    ConflictingNames {
        /// The entry's path.
        path: Box<[u8]>,
    },
    /// A record that says something about the file which is not kept (ACLs, `RHT.security.selinux`, file flags).
    IgnoredRecord {
        /// The record's key.
        key: Box<[u8]>,
    },
    /// A whiteout that is not an empty regular file: its name decides.
    OddWhiteout {
        /// The whiteout's path.
        path: Box<[u8]>,
    },
    /// A path or a hardlink's target has a `..`, which was resolved inside the root.
    ParentInPath {
        /// The entry's path, as resolved.
        path: Box<[u8]>,
    },
    /// A directory of this layer was replaced by something else, and what was in it is gone.
    ReplacedDirectory {
        /// The path.
        path: Box<[u8]>,
    },
    /// The manifest says that the layer is compressed otherwise than it is: the bytes decide.
    MediaType {
        /// What it says.
        stated: String,
        /// What the bytes are.
        found: Compression,
    },
}

/// The most of a record's key that a warning keeps, in bytes: a key can be as long as its header.
const KEY: usize = 64;

impl Warning {
    pub(super) fn ignored_record(key: &[u8]) -> Self {
        Self::IgnoredRecord { key: key.get(..KEY).unwrap_or(key).into() }
    }

    pub(super) fn global_override(key: &[u8]) -> Self {
        Self::GlobalOverride { key: key.get(..KEY).unwrap_or(key).into() }
    }

    /// A short name of the kind that stays the same: `duplicate-path`, ….
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DuplicatePath { .. } => "duplicate-path",
            Self::DataAfterEnd { .. } => "data-after-end",
            Self::HardlinkMetadata { .. } => "hardlink-metadata",
            Self::SizeIgnored { .. } => "size-ignored",
            Self::RepeatedExtendedHeader { .. } => "repeated-header",
            Self::GlobalOverride { .. } => "global-override",
            Self::ConflictingNames { .. } => "conflicting-names",
            Self::IgnoredRecord { .. } => "ignored-record",
            Self::OddWhiteout { .. } => "odd-whiteout",
            Self::ParentInPath { .. } => "parent-in-path",
            Self::ReplacedDirectory { .. } => "replaced-directory",
            Self::MediaType { .. } => "media-type",
        }
    }

    /// The path of the entry that it is about, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::DuplicatePath { path }
            | Self::HardlinkMetadata { path }
            | Self::SizeIgnored { path }
            | Self::ConflictingNames { path }
            | Self::OddWhiteout { path }
            | Self::ParentInPath { path }
            | Self::ReplacedDirectory { path } => Some(path),
            Self::DataAfterEnd { .. }
            | Self::RepeatedExtendedHeader { .. }
            | Self::GlobalOverride { .. }
            | Self::IgnoredRecord { .. }
            | Self::MediaType { .. } => None,
        }
    }

    /// The strictest reading that accepts this.
    #[must_use]
    pub const fn strictest(&self) -> Strictness {
        match self {
            Self::DuplicatePath { .. }
            | Self::SizeIgnored { .. }
            | Self::RepeatedExtendedHeader { .. }
            | Self::GlobalOverride { .. }
            | Self::ConflictingNames { .. }
            | Self::ReplacedDirectory { .. } => Strictness::Normal,
            Self::ParentInPath { .. } => Strictness::Lenient,
            Self::DataAfterEnd { .. }
            | Self::HardlinkMetadata { .. }
            | Self::IgnoredRecord { .. }
            | Self::OddWhiteout { .. }
            | Self::MediaType { .. } => Strictness::Strict,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicatePath { path } => {
                write!(f, "\"{}\" is in the layer more than once: the last entry wins", path.escape_ascii())
            }
            Self::DataAfterEnd { offset } => {
                write!(f, "data after the end of the archive, from byte {offset} on, is not read")
            }
            Self::HardlinkMetadata { path } => {
                write!(
                    f,
                    "the hardlink \"{}\" has other metadata than its target: ignored",
                    path.escape_ascii()
                )
            }
            Self::SizeIgnored { path } => {
                write!(
                    f,
                    "\"{}\" states a size, but its type has no body: taken as zero",
                    path.escape_ascii()
                )
            }
            Self::RepeatedExtendedHeader { kind } => {
                write!(f, "several \"{}\" headers before one entry: the last is taken", kind.escape_ascii())
            }
            Self::GlobalOverride { key } => {
                write!(f, "the global header sets \"{}\": ignored", key.escape_ascii())
            }
            Self::ConflictingNames { path } => {
                write!(
                    f,
                    "\"{}\" has two names or targets, GNU's and PAX's: GNU's is taken",
                    path.escape_ascii()
                )
            }
            Self::IgnoredRecord { key } => write!(f, "\"{}\" is not kept", key.escape_ascii()),
            Self::OddWhiteout { path } => {
                write!(f, "the whiteout \"{}\" is not an empty file", path.escape_ascii())
            }
            Self::ParentInPath { path } => {
                write!(f, "\"{}\" is written with \"..\": resolved inside the root", path.escape_ascii())
            }
            Self::ReplacedDirectory { path } => {
                write!(f, "the directory \"{}\" is replaced within the layer", path.escape_ascii())
            }
            Self::MediaType { stated, found } => {
                write!(f, "the media type says {stated}, the bytes say {}", found.name())
            }
        }
    }
}

/// What is worth telling of one layer: a bounded list of warnings with a count of those that did not fit, and what was
/// normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    list: Vec<Warning>,
    limit: usize,
    dropped: u64,
    notes: Notes,
    examples: usize,
    strictness: Strictness,
    strictest: Strictness,
}

impl Warnings {
    pub(crate) fn new(limits: &Limits, strictness: Strictness) -> Self {
        Self {
            limit: limits.warnings,
            examples: limits.examples,
            strictness,
            strictest: Strictness::Strict,
            ..Self::default()
        }
    }

    /// Takes in those of another part of the same layer, as many as fit.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.strictest = self.strictest.min(other.strictest);
        self.dropped += other.dropped;
        self.list.extend(other.list);
        self.truncate(self.limit);
        self.notes.absorb(other.notes, self.examples);
    }

    /// Keeps no more than the first `len` warnings, counts the others, and says how many it keeps.
    pub(crate) fn truncate(&mut self, len: usize) -> usize {
        self.dropped += self.list.len().saturating_sub(len) as u64;
        self.list.truncate(len);
        self.list.len()
    }

    /// Counts something that was normalised.
    pub(crate) fn note(&mut self, what: Normalisation, path: &[u8]) {
        self.notes.add(what, path, self.examples);
    }

    /// What was normalised.
    #[must_use]
    pub const fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Adds a warning, or refuses in its place.
    pub(crate) fn add(&mut self, warning: Warning) -> Result<(), Reason> {
        if warning.strictest() < self.strictness {
            return Err(Reason::Strict(warning));
        }
        self.push(warning);
        Ok(())
    }

    /// Adds a warning, whatever the reading.
    pub(crate) fn push(&mut self, warning: Warning) {
        self.strictest = self.strictest.min(warning.strictest());
        if self.list.len() < self.limit {
            self.list.push(warning);
        } else {
            self.dropped += 1;
        }
    }

    /// The warnings that were kept, in the order of the tar.
    #[must_use]
    pub fn list(&self) -> &[Warning] {
        &self.list
    }

    /// The strictest reading that accepts all of them.
    #[must_use]
    pub const fn strictest(&self) -> Strictness {
        self.strictest
    }

    /// How many more there were.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}
