//! The one error type of the crate: each variant is a decision that the caller can take.
//!
//! System errors come in through [`Error::at`] alone, which attaches the verb and the path and sorts out the errnos
//! that mean something to a caller (no space, read-only). There is no `From<io::Error>`.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, sorted by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed in a way that has no meaning of its own here.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `link`, `sync`.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file system is full, or a quota is (ENOSPC, EDQUOT): free some space and try again.
    #[error("no space left: cannot {op} {}", path.display())]
    NoSpace {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The file system, or the repository's features, allow no writing.
    #[error("{} is read-only: {reason}", path.display())]
    ReadOnly {
        /// What is read-only.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The thing asked for is not there.
    #[error("there is no {what}")]
    Missing {
        /// The kind and the name: `image 8a…`, `repository at /x`.
        what: String,
    },
    /// The folder is something else than a repository that we know.
    #[error("{} is not a repository: {reason}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository needs a newer (or, without `meta.json`, an older) engine.
    #[error("the repository at {} has a format that this version cannot use: {reason}", path.display())]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// The version or the features in question.
        reason: String,
    },
    /// The bytes are not what they must be: damage, or a lie.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// The kind and the name of the thing.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit was passed.
    #[error("{what} is too big: the limit is {limit}")]
    TooBig {
        /// What was measured, with its unit.
        what: String,
        /// The limit, in the same unit.
        limit: u64,
    },
    /// Somebody else holds the lock.
    #[error("{} is in use{}", path.display(), holder.as_deref().map(|h| format!(" by {h}")).unwrap_or_default())]
    Busy {
        /// What is locked.
        path: PathBuf,
        /// Who holds it, if known.
        holder: Option<String>,
    },
    /// The repository requires fs-verity of the kernel, and it is not there (or the measured digest differs).
    #[error("{what} lacks the fs-verity that its repository requires: {reason}")]
    Verity {
        /// The object or file.
        what: String,
        /// What the kernel said.
        reason: String,
    },
    /// A write or sync of this transaction failed before: it publishes nothing any more (rule D5).
    #[error("an earlier write of this transaction failed, so it cannot be committed")]
    Poisoned,
    /// A name or another argument has a form that is not allowed.
    #[error("{value:?} is not a valid {what}: {reason}")]
    Invalid {
        /// What it should have been.
        what: &'static str,
        /// What it is.
        value: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The process lacks a privilege.
    #[error("cannot {what}: this needs {needs}")]
    NotPermitted {
        /// What was tried.
        what: String,
        /// Who may.
        needs: &'static str,
    },
    /// The kernel refuses to mount an image: it is too old, or lacks EROFS or overlayfs as it was built.
    #[error("cannot mount {what}: {reason}")]
    Mount {
        /// What, and where.
        what: String,
        /// What the kernel says.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// The one way in for system errors: says what was tried, on what.
    #[must_use]
    pub fn at(op: &'static str, path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::NoSpace { op, path },
            // Some verbs end in a preposition: "create a temporary file in".
            Errno::ROFS => Self::ReadOnly { path, reason: format!("cannot {op} it") },
            _ => Self::Io { op, path, source: errno.into() },
        }
    }

    /// The system's error number, if this is a plain system error.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } => Errno::from_io_error(source),
            Self::NoSpace { .. } => Some(Errno::NOSPC),
            _ => None,
        }
    }

    /// Whether this says that a file or a thing is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. }) || self.errno() == Some(Errno::NOENT)
    }

    /// Damage, with its reason.
    #[must_use]
    pub fn corrupt(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), reason: reason.into() }
    }
}

impl From<crate::Cancelled> for Error {
    fn from(_: crate::Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Turns "it is not there" into `None`, and leaves the other errors.
pub trait Optional<T> {
    /// `Some` of the value, `None` if the file or thing does not exist.
    ///
    /// # Errors
    /// All others are passed on.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
