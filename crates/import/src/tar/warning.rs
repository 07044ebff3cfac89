//! Oddities of a layer that are accepted, but worth telling.

use std::fmt;

use super::{Reason, Strictness};

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
    /// A GNU long name and a PAX path that differ: the PAX path is taken.
    ConflictingNames {
        /// The path taken.
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
}

impl Warning {
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
            | Self::OddWhiteout { .. } => Strictness::Strict,
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
                write!(f, "\"{}\" has another GNU long name: the PAX path is taken", path.escape_ascii())
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
        }
    }
}

/// The warnings of one layer: a bounded list, and a count of those that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warnings {
    list: Vec<Warning>,
    limit: usize,
    dropped: u64,
    strictness: Strictness,
    strictest: Strictness,
}

impl Warnings {
    pub(crate) fn new(limit: usize, strictness: Strictness) -> Self {
        Self { list: Vec::new(), limit, dropped: 0, strictness, strictest: Strictness::Strict }
    }

    /// Adds a warning, or refuses in its place.
    pub(crate) fn add(&mut self, warning: Warning) -> Result<(), Reason> {
        let strictest = warning.strictest();
        if strictest < self.strictness {
            return Err(Reason::Strict(warning));
        }
        self.strictest = self.strictest.min(strictest);
        if self.list.len() < self.limit {
            self.list.push(warning);
        } else {
            self.dropped += 1;
        }
        Ok(())
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
