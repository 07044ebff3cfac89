//! [`Scratch`]: a file of a caller's own on the repository's file system, for as long as it is held.
//!
//! For what has to lie somewhere before it can be read in any order, such as an archive that comes through a pipe. It has
//! no name where the file system allows that, so a killed process leaves nothing; elsewhere gc removes it.

use crate::{Repository, Result, disk::File, layout, lock::SharedGuard, temporary::Temporary};

/// A temporary file. It goes when this is dropped.
pub struct Scratch {
    file: Temporary,
    // After the file: gc may come once there is nothing left that it could take.
    _lock: SharedGuard,
}

impl Repository {
    /// Makes an empty temporary file.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) when nothing can be written here, or when the disk fails.
    pub fn scratch(&self) -> Result<Scratch> {
        self.require_writable()?;
        let lock = self.shared();
        let staging = self.staging()?;
        let file = staging.create(&staging.dir, layout::PRIVATE_MODE)?;
        Ok(Scratch { file, _lock: lock })
    }
}

impl Scratch {
    /// The file, open for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file.file
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scratch").field(self.file()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Error, fixture::Fixture};

    #[test]
    fn a_scratch_file_can_be_written_and_read_and_leaves_nothing() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let scratch = repository.scratch().unwrap();
        scratch.file().write_all_at(3, b"abc").unwrap();
        assert_eq!(scratch.file().read_all(100).unwrap(), b"\0\0\0abc");
        assert!(matches!(repository.exclusive(Duration::ZERO), Err(Error::Busy { .. })), "gc keeps away");
        drop(scratch);
        assert_eq!(repository.dir().open_dir("sealstone/tmp").unwrap().read_dir().unwrap(), []);
    }
}
