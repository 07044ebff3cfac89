//! Why a tree refuses a name, a link, a set of attributes or a path.

/// A name, link or path that a [`Tree`](super::Tree) does not take. Names and paths are quoted in ASCII.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Empty, `.`, `..`, or with a slash or NUL in it.
    #[error("{0:?} is not a file name")]
    Name(String),
    /// Empty or with NUL in it.
    #[error("{0:?} is not a target of a symbolic link")]
    Target(String),
    /// The directory has an entry of this name.
    #[error("the directory has an entry {0:?} already")]
    Duplicate(String),
    /// A directory that has its name already, under a second one.
    #[error("{0:?} would be a second name for a directory")]
    LinkedDirectory(String),
    /// Something that needs a directory met another file.
    #[error("{0:?}: not a directory")]
    NotADirectory(String),
    /// Nothing is there.
    #[error("{0:?}: no such file")]
    Missing(String),
    /// More than 40 symbolic links on the way.
    #[error("{0:?}: too many symbolic links")]
    Loop(String),
    /// Larger than the format or the tables allow.
    #[error("too many {what}: the limit is {limit}")]
    TooBig {
        /// What is too large or too many.
        what: &'static str,
        /// The largest value allowed.
        limit: u64,
    },
}
