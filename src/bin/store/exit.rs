//! Exit codes: a stable, documented answer for scripts (docs/cli.md).

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something failed, or a check found damage.
    Failed = 1,
    /// The command line is wrong (clap's own code as well).
    Usage = 2,
    /// A digest, a size or a format does not hold: the input is not what it says it is.
    Untrusted = 3,
    /// The file system is full, or would be.
    NoSpace = 4,
    /// The repository, image, file or name is not there.
    NotFound = 5,
    /// Somebody else holds what is needed.
    Busy = 6,
    /// This kernel, file system or build cannot do it, or the repository is newer than this program.
    Unsupported = 7,
    /// Ctrl-C.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
