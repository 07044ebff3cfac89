//! The one edge to the file system: everything that Sealstone does to a disk passes [`Disk::call`].
//!
//! What lives here: the typed calls ([`Call`]), the handles that make them ([`Dir`], [`File`]), the real disk, and (with
//! the feature `testing`) disks that record, fail or lose power. What does not: mounts, memory maps, any policy.
//! Invariants: no other module of any crate uses `std::fs` or `rustix::fs` (clippy's `disallowed-methods`); names are
//! resolved below an open directory and never through a symlink unless the caller says so; every error carries the verb
//! and the path, attached in one place (`perform`).

// This is the edge that the rule points to.
#![allow(clippy::disallowed_methods)]

mod attributes;
mod call;
mod dir;
#[cfg(any(test, feature = "testing"))]
mod failing;
mod file;
mod ledger;
mod located;
#[cfg(any(test, feature = "testing"))]
mod power_cut;
mod real;
#[cfg(any(test, feature = "testing"))]
mod recording;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use rustix::io::Errno;

pub use call::{Call, Reply};
pub use dir::Dir;
#[cfg(any(test, feature = "testing"))]
pub use failing::FailingDisk;
pub use file::File;
pub use ledger::LedgerDisk;
pub use located::Located;
#[cfg(any(test, feature = "testing"))]
pub use power_cut::{Fate, PowerCutDisk};
pub use real::RealDisk;
#[cfg(any(test, feature = "testing"))]
pub use recording::{Recorded, RecordingDisk};
pub use types::{
    Access, DirEntry, FileType, FsType, Lock, Metadata, Node, Rename, Resolve, Space, Timestamp, Wait,
};

use crate::error::{Error, Result};

/// A file system as the handles see it: one typed call at a time. Wrap one to record, count, fail or lose power.
pub trait Disk: Send + Sync {
    /// Does what the call says.
    ///
    /// # Errors
    /// The errno of the system call.
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno>;
}

/// The helper that attaches verb and path to an error of the disk.
fn perform(disk: &Arc<dyn Disk>, mut call: Call<'_>) -> Result<Reply> {
    disk.call(&mut call).map_err(|errno| Error::at(call.verb(), &call.path(), errno))
}
