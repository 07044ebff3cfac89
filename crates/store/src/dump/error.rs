//! Why a text is not a dump.

use crate::tree::TreeError;

/// A line that is not of a dump, or not of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the dump: {problem}")]
pub struct DumpError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: DumpProblem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DumpProblem {
    /// A field is missing, no number, out of range, or badly escaped.
    #[error("no valid {0}")]
    Field(&'static str),
    /// A field has a value where this kind of file has none.
    #[error("a {0} where none belongs")]
    Unexpected(&'static str),
    /// The root is not first, is no directory, or comes twice.
    #[error("the root has to be the first line, and a directory")]
    Root,
    /// The directory of the file, or the target of a link, is not on an earlier line.
    #[error("{0:?} is on no earlier line")]
    Missing(String),
    /// A file that our images have no form for.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Names, targets or attributes that no tree holds.
    #[error(transparent)]
    Tree(#[from] TreeError),
}
