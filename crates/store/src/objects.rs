//! The object folders: looking an object up, and putting one in its place. Every hot path of the store ends here.
//!
//! What lives here: the 256 folders, opened once and kept open; the single look-up before any write; the write of a
//! whole object. What does not: which objects, durability, names.
//! Invariants: an object's name is the fs-verity digest of its content; an object appears whole or not at all; an
//! existing object counts only if its size is right (and, where required, if the kernel guards it), otherwise it is
//! replaced.

use std::{os::unix::ffi::OsStrExt, path::Path, sync::OnceLock};

use rustix::io::Errno;

use crate::{
    Algorithm, Error, ObjectId, Result, Verity,
    disk::{Dir, File, FileType},
    error::Optional,
    layout,
    placing::Placing,
    temporary::{Published, Temporary},
};

/// The folder `objects/` of a repository.
pub(crate) struct Objects {
    repository: Dir,
    pub(crate) algorithm: Algorithm,
    pub(crate) verity: Verity,
    root: OnceLock<Dir>,
    folders: Box<[OnceLock<Dir>; 256]>,
}

/// What the look-up of an object finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// The object, as far as its size and the kernel tell.
    Good,
    /// Something under its name that cannot be it.
    Damaged,
}

/// The file name of an object in its folder: all digits but the first two.
pub(crate) struct ObjectName([u8; 128], usize);

impl ObjectName {
    pub(crate) fn of(id: &ObjectId) -> Self {
        let mut digits = [0; 128];
        let len = id.hex_into(&mut digits).len();
        Self(digits, len)
    }

    pub(crate) fn as_path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(self.0.get(2..self.1).unwrap_or_default()))
    }
}

/// Which of the 256 folders an object is in.
pub(crate) fn first_byte(id: &ObjectId) -> u8 {
    id.as_bytes().first().copied().unwrap_or_default()
}

/// What a new look at an existing folder or a fresh one ends with: the first that came in stays.
fn keep(cell: &OnceLock<Dir>, dir: Dir) -> &Dir {
    cell.get_or_init(|| dir)
}

impl Objects {
    pub(crate) fn new(repository: Dir, algorithm: Algorithm, verity: Verity) -> Self {
        let folders = Box::new([const { OnceLock::new() }; 256]);
        Self { repository, algorithm, verity, root: OnceLock::new(), folders }
    }

    fn cell(&self, first: u8) -> Result<&OnceLock<Dir>> {
        // A byte indexes 256 cells: this cannot be missing.
        self.folders
            .get(usize::from(first))
            .ok_or_else(|| Error::at("open", self.repository.label(), Errno::INVAL))
    }

    /// The folder `objects/`, if it is there.
    pub(crate) fn root(&self) -> Result<Option<&Dir>> {
        match self.root.get() {
            Some(root) => Ok(Some(root)),
            None => {
                Ok(self.repository.open_dir(layout::OBJECTS).optional()?.map(|dir| keep(&self.root, dir)))
            }
        }
    }

    /// The folder of the ids with this first byte, if it is there.
    pub(crate) fn folder(&self, first: u8) -> Result<Option<&Dir>> {
        let cell = self.cell(first)?;
        if let Some(folder) = cell.get() {
            return Ok(Some(folder));
        }
        let Some(root) = self.root()? else { return Ok(None) };
        Ok(root.open_dir(layout::fan_out(first)).optional()?.map(|dir| keep(cell, dir)))
    }

    /// The folder of the ids with this first byte, made if it is missing.
    fn ensure_folder(&self, first: u8, placing: Placing<'_>) -> Result<&Dir> {
        if let Some(folder) = self.folder(first)? {
            return Ok(folder);
        }
        let staging = placing.staging;
        let root = match self.root()? {
            Some(root) => root,
            None => keep(&self.root, staging.ensure_folder(&self.repository, layout::OBJECTS)?),
        };
        let (folder, is_new) = staging.make_folder(root, &layout::fan_out(first))?;
        if is_new {
            placing.fresh.insert(first);
        }
        Ok(keep(self.cell(first)?, folder))
    }

    /// Looks for an object by one system call.
    pub(crate) fn find(&self, id: &ObjectId, size: u64) -> Result<Found> {
        let Some(folder) = self.folder(first_byte(id))? else { return Ok(Found::Missing) };
        let Some(metadata) = folder.metadata(ObjectName::of(id).as_path()).optional()? else {
            return Ok(Found::Missing);
        };
        let sealed = self.verity != Verity::Required || metadata.verity;
        let good = metadata.kind == FileType::File && metadata.size == size && sealed;
        Ok(if good { Found::Good } else { Found::Damaged })
    }

    /// Opens an object; whether its content is right is not known yet unless the kernel guards it.
    pub(crate) fn open(&self, id: &ObjectId) -> Result<File> {
        let missing = || Error::Missing { what: format!("object {id}") };
        let folder = self.folder(first_byte(id))?.ok_or_else(missing)?;
        let file = folder.open_file(ObjectName::of(id).as_path()).optional()?.ok_or_else(missing)?;
        if self.verity == Verity::Required {
            match file.measure_verity()? {
                Some(measured) if measured == *id => {}
                Some(measured) => {
                    return Err(Error::corrupt(
                        format!("object {id}"),
                        format!("the kernel measures {measured}"),
                    ));
                }
                None => {
                    let reason = "fs-verity is not enabled on it".to_owned();
                    return Err(Error::Verity { what: format!("object {id}"), reason });
                }
            }
        }
        Ok(file)
    }

    /// Writes a whole object that was not found, or was found damaged: its parts, in order.
    pub(crate) fn write(&self, id: &ObjectId, parts: &[&[u8]], placing: Placing<'_>) -> Result<Published> {
        let staging = placing.staging;
        let temporary = staging.create(&staging.dir, layout::OBJECT_MODE)?;
        let mut size = 0;
        for part in parts {
            temporary.file.write_all_at(size, part)?;
            size += part.len() as u64;
        }
        self.place(temporary, id, size, placing)
    }

    /// Puts a written file in an object's place.
    pub(crate) fn place(
        &self,
        mut temporary: Temporary,
        id: &ObjectId,
        size: u64,
        placing: Placing<'_>,
    ) -> Result<Published> {
        if self.verity == Verity::Required {
            // D7: before the barrier, and measured before it gets its name.
            temporary = temporary.seal(self.algorithm, id)?;
        }
        let folder = self.ensure_folder(first_byte(id), placing)?;
        let name = ObjectName::of(id);
        if placing.found == Found::Damaged {
            temporary.replace(folder, name.as_path())?;
            return Ok(Published::New);
        }
        temporary.publish(folder, name.as_path()).and_then(|published| {
            // D4: that the name exists is success only if what it names can be the object.
            if published == Published::Exists && self.find(id, size)? != Found::Good {
                let what = format!("object {id}");
                return Err(Error::corrupt(what, "another program put something else in its place just now"));
            }
            Ok(published)
        })
    }
}
