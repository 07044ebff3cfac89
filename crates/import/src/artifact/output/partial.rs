//! [`PartialFile`]: a file under its temporary name, for one process at a time, until it is whole.

use sealstone_store::{
    Optional,
    disk::{Access, Dir, File, FileType, Lock, Rename, Resolve, Wait},
};

use rustix::{io::Errno, process::geteuid};

use crate::{Digest, error::Result};

/// The digits of the digest in the temporary name.
const DIGITS: usize = 16;

/// A file that lies beside its place as `.NAME.DIGITS.partial`, where DIGITS are those of the blob's digest.
#[derive(Debug)]
pub struct PartialFile {
    dir: Dir,
    name: String,
    partial: String,
    file: File,
}

impl PartialFile {
    /// Makes it, or opens what an earlier try of this user has left, if that `can_resume`; tells whether it may have bytes.
    ///
    /// # Errors
    /// When it cannot be made there; busy when somebody else is just writing it.
    pub fn open(dir: &Dir, name: &str, digest: &Digest, can_resume: bool) -> Result<(Self, bool)> {
        let hex = digest.to_hex();
        let digits = hex.get(..DIGITS).unwrap_or_default();
        // The longest name there is less what is added.
        let end = (0..=name.len().min(220)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let partial = format!(".{}.{digits}.partial", name.get(..end).unwrap_or_default());
        let (file, can_resume) = match (can_resume, open_own(dir, &partial)?) {
            (true, Some(file)) => (file, true),
            (false, Some(_)) => {
                dir.remove_file(&partial)?;
                (dir.create_new(&partial, 0o666)?, false)
            }
            (_, None) => (dir.create_new(&partial, 0o666)?, false),
        };
        match file.lock(Lock::Exclusive, Wait::Try) {
            Err(error) if error.errno() == Some(Errno::WOULDBLOCK) => {
                return Err(
                    sealstone_store::Error::Busy { path: file.label().to_owned(), holder: None }.into()
                );
            }
            other => other?,
        }
        Ok((Self { dir: dir.clone(), name: name.to_owned(), partial, file }, can_resume))
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Its name until it is whole.
    #[must_use]
    pub fn temporary_name(&self) -> &str {
        &self.partial
    }

    /// Makes its bytes durable, and then gives it its own name; what had it before is gone. Behind its last byte there may
    /// be a hole that belongs to it.
    ///
    /// # Errors
    /// When the disk fails; it has no name of its own then.
    pub fn publish(&self, len: u64) -> Result<()> {
        // The last hole has no byte after it.
        self.file.set_len(len)?;
        // D3.
        self.file.sync()?;
        self.dir.rename(&self.partial, &self.dir, &self.name, Rename::Replace)?;
        Ok(self.dir.sync()?)
    }

    /// Removes it.
    pub fn discard(&self) {
        // The name is ours. If it cannot be removed, it is wrong again the next time.
        let _ = self.dir.remove_file(&self.partial).optional();
    }
}

/// Opens what an earlier try of this user left; what is there and is not that, is removed.
fn open_own(dir: &Dir, partial: &str) -> Result<Option<File>> {
    let file = match dir.open_file_with(partial, Access::ReadWrite, Resolve::NoSymlinks) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) if error.errno() == Some(Errno::LOOP) => {
            dir.remove_file(partial)?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    // In a folder for everybody, another user's file could be changed after it was verified.
    let is_own = metadata.kind == FileType::File && metadata.uid == geteuid().as_raw() && metadata.links == 1;
    if is_own {
        return Ok(Some(file));
    }
    dir.remove_file(partial)?;
    Ok(None)
}
