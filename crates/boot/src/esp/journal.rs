//! What of a boot partition a boot loader does not see, though it is durable (rule D8).
//!
//! What lives here: which file systems have such a thing, and how it is ended. What does not: when (the deploy crate).
//! Why: GRUB, and EFI drivers for a boot loader, read a file system's own places and replay no journal. After a power cut
//! they see what had been written there by chance: a name without its file, or a file whose blocks are another's already.
//! - ext4, xfs: a sync writes the journal. It is emptied by the kernel's call, if need be by a freeze.
//! - btrfs, f2fs: a sync of a *file* writes a log that is replayed at a mount; one of the file system ends in the trees that
//!   everybody reads.
//! - FAT has no journal. On others, as tmpfs, nothing boots.

use rustix::io::Errno;
use sealstone_store::disk::{Dir, FsType};

use super::Esp;
use crate::BootError;

/// What has to be done so that a boot loader sees what is on a boot partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing: each write is in its place, or nobody boots from there.
    AtOnce,
    /// Nothing, but of what a run that was killed did not come to sync: FAT, where a sync covers what is synced and not all that
    /// was done before.
    AtOnceIfSynced,
    /// The file system is synced.
    BySync,
    /// Its journal is emptied.
    ByEmptyJournal,
}

impl Esp {
    /// How what is written there comes to be seen by a boot loader that replays no journal. `in_use` are folders on file
    /// systems that must never be frozen, since those who freeze live on them: the sysroot, the repository; so is `/`.
    ///
    /// A folder that is not the root of a mount is no partition: then nothing is done.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn visibility(&self, in_use: &[&Dir]) -> Result<Visibility, BootError> {
        let kind = self.root.fs_type()?;
        if kind == FsType::Vfat {
            return Ok(Visibility::AtOnceIfSynced);
        }
        if !matches!(kind, FsType::Ext4 | FsType::Xfs | FsType::Btrfs | FsType::F2fs) {
            return Ok(Visibility::AtOnce);
        }
        let own = self.root.own_metadata()?;
        if !own.mount_root {
            return Ok(Visibility::AtOnce);
        }
        if matches!(kind, FsType::Btrfs | FsType::F2fs) {
            return Ok(Visibility::BySync);
        }
        let root = Dir::open(self.root.disk(), "/")?;
        for other in in_use.iter().copied().chain([&root]) {
            if other.own_metadata()?.device == own.device {
                return Ok(Visibility::AtOnce);
            }
        }
        Ok(Visibility::ByEmptyJournal)
    }

    /// Before anything relies on what is there: hands to the disk what a run that was killed left in memory, of which nobody
    /// knows. The next sync of anything makes it durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&self, how: Visibility) -> Result<(), BootError> {
        if how == Visibility::AtOnceIfSynced {
            self.root.sync_file_system()?;
        }
        Ok(())
    }

    /// Makes all that is there visible to such a boot loader.
    ///
    /// # Errors
    /// When the disk fails. That a journal cannot be emptied is none: what is durable is so without it.
    pub fn make_visible(&self, how: Visibility) -> Result<(), BootError> {
        match how {
            Visibility::AtOnce | Visibility::AtOnceIfSynced => Ok(()),
            Visibility::BySync => Ok(self.root.sync_file_system()?),
            Visibility::ByEmptyJournal => match self.root.empty_journal() {
                Err(error) if error.errno().is_some_and(is_of_no_matter) => Ok(()),
                other => Ok(other?),
            },
        }
    }
}

/// - `EPERM`: a container, or no root at all; `ENOTTY`, `EOPNOTSUPP`: a kernel or a file system that knows no such thing. The
///   kernel replays the journal when it mounts next, and empties it when it unmounts at a shutdown.
/// - `EBUSY`: somebody keeps it frozen, for a snapshot perhaps. All our writes were done, as they would have waited; so that
///   freeze began after them, and emptied the journal.
fn is_of_no_matter(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::NOTTY | Errno::OPNOTSUPP | Errno::BUSY)
}
