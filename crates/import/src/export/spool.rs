//! [`Spool`]: a file that is written but has no name yet, so that nobody can take it for whole.
//!
//! Where the file system has `O_TMPFILE` a kill leaves nothing (rule D4); elsewhere it has a name of ours until it is
//! published or dropped.

use rustix::io::Errno;
use sealstone_store::{
    Error as StoreError,
    disk::{Dir, File, Rename},
};

use crate::error::Result;

/// The mode of what is written; the umask takes bits away.
const MODE: u16 = 0o644;

/// What the names of files begin with that are not published yet.
pub(crate) const PREFIX: &str = ".sealstone-";

/// A file on its way.
pub(crate) struct Spool {
    dir: Dir,
    file: File,
    name: Option<String>,
}

impl Spool {
    /// A new empty file, to be published in `dir` or another folder of its file system.
    pub(crate) fn create(dir: &Dir) -> Result<Self> {
        match dir.create_temp(MODE) {
            Ok(file) => Ok(Self { dir: dir.clone(), file, name: None }),
            Err(error) if is_unsupported(&error) => {
                let (file, name) = with_fresh_name(|name| dir.create_new(name, MODE))?;
                Ok(Self { dir: dir.clone(), file, name: Some(name) })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Makes the content durable, then gives it its name in `dir`, atomically taking the place of what is there. The
    /// folder's own sync is the caller's: one for several names.
    pub(crate) fn publish(mut self, dir: &Dir, name: &str) -> Result<()> {
        // D3: the content first, then the name.
        self.file.sync()?;
        if self.name.is_none() {
            match dir.link(&self.file, name) {
                Err(error) if error.errno() == Some(Errno::EXIST) => {}
                other => return Ok(other?),
            }
            self.name = Some(with_fresh_name(|fresh| self.dir.link(&self.file, fresh))?.1);
        }
        // Dropped after this, it finds nothing to remove.
        Ok(self.dir.rename(self.name.as_deref().unwrap_or_default(), dir, name, Rename::Replace)?)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            drop(self.dir.remove_file(name));
        }
    }
}

fn with_fresh_name<T>(make: impl Fn(&str) -> Result<T, StoreError>) -> Result<(T, String)> {
    let process = std::process::id();
    let mut count: u64 = 0;
    loop {
        let name = format!("{PREFIX}{process}-{count}");
        match make(&name) {
            Err(error) if error.errno() == Some(Errno::EXIST) => count += 1,
            other => return Ok((other?, name)),
        }
    }
}

/// Whether the error says that the file system has no unnamed files (open(2), `O_TMPFILE`).
fn is_unsupported(error: &StoreError) -> bool {
    matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS))
}
