//! Why a layer was refused, and where.
//!
//! Everything here is the layer's fault: the same bytes will be refused again. Errors of input, output and of ourselves
//! are the crate's error type's.

use std::fmt;

use super::Warning;

/// A layer that is not taken: the reason, the entry and the place.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason} (at byte {offset} of the layer's tar)", Named(path))]
pub struct Refusal {
    #[source]
    reason: Reason,
    path: Box<[u8]>,
    offset: u64,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, path: &[u8], offset: u64) -> Self {
        Self { reason, path: path.into(), offset }
    }

    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The path of the entry, normalised; empty when it is not known (or is the root's).
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The offset in the uncompressed tar at which the entry's header starts, or at which reading stopped.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

struct Named<'a>(&'a [u8]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("layer refused"),
            path => write!(f, "layer refused: entry \"{}\"", path.escape_ascii()),
        }
    }
}

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The stream ends in the middle.
    #[error("the tar ends inside {0}")]
    Truncated(&'static str),
    /// A block that should be a header is none: its checksum differs.
    #[error("not a tar header: the checksum differs")]
    Checksum,
    /// One zero block, and something else after it.
    #[error("a zero block stands alone between entries")]
    LoneZeroBlock,
    /// A numeric field that is no number, or one out of range.
    #[error("the {0} is not a number in range")]
    Number(&'static str),
    /// A path or target that cannot exist or leads out of the root.
    #[error("the {what} {problem}")]
    Name {
        /// "path", "hardlink target", "symlink target", ….
        what: &'static str,
        /// What it does, as the end of a sentence.
        problem: &'static str,
    },
    /// A bound of [`Limits`](crate::Limits).
    #[error("more than {limit} {what}")]
    TooBig {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// An extended header that does not follow its grammar.
    #[error("malformed extended header: {0}")]
    ExtendedHeader(&'static str),
    /// A sparse map that contradicts itself or the sizes.
    #[error("malformed sparse map: {0}")]
    Sparse(&'static str),
    /// A type of entry that layers do not have.
    #[error("entries of type \"{}\" are not supported", .0.escape_ascii())]
    Type(u8),
    /// The root of the tree as something else than a directory.
    #[error("the root must be a directory")]
    Root,
    /// A whiteout of nothing, of `.` or of `..`, or a directory with a whiteout's name.
    #[error("the whiteout {0}")]
    Whiteout(&'static str),
    /// The entry's parent, in this layer, is neither a directory nor a symlink to one.
    #[error("its parent \"{}\" is not a directory", .0.escape_ascii())]
    Parent(Box<[u8]>),
    /// Too many symlinks on the way.
    #[error("its path leads through too many symlinks")]
    SymlinkLoop,
    /// A hardlink that cannot be made.
    #[error("the hardlink's target \"{}\" {problem}", .target.escape_ascii())]
    Hardlink {
        /// The target's path.
        target: Box<[u8]>,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// A file's content that is missing or not one it can have: an error of the caller.
    #[error("its content {0}")]
    Content(&'static str),
    /// Refused because [`Strictness::Strict`](super::Strictness::Strict) was asked for.
    #[error("refused in strict mode: {0}")]
    Strict(Warning),
}

impl Reason {
    /// A short name of the kind that stays the same: `truncated`, `name`, ….
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "truncated",
            Self::Checksum => "checksum",
            Self::LoneZeroBlock => "lone-zero-block",
            Self::Number(_) => "number",
            Self::Name { .. } => "name",
            Self::TooBig { .. } => "too-big",
            Self::ExtendedHeader(_) => "extended-header",
            Self::Sparse(_) => "sparse",
            Self::Type(_) => "type",
            Self::Root => "root",
            Self::Whiteout(_) => "whiteout",
            Self::Parent(_) => "parent",
            Self::SymlinkLoop => "symlink-loop",
            Self::Hardlink { .. } => "hardlink",
            Self::Content(_) => "content",
            Self::Strict(_) => "strict",
        }
    }
}
