//! An object's content as somebody else's file: by sharing its blocks where the file system can, else by copying them.
//!
//! Invariant: what is written has the object's digest, whichever way it came: the kernel guards what it reads, or we hash it.

use crate::{
    ObjectId, Repository, Result, Verity,
    disk::{Dir, File},
    file_digest::check_file,
};

/// What [`Repository::write_object_to`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedOut {
    /// The size in bytes.
    pub bytes: u64,
    /// Whether the blocks are shared, so that none were written.
    pub is_shared: bool,
}

impl Repository {
    /// Makes an empty file's content that of an object. The file keeps its own owner and mode, and may change later without
    /// the object.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing), [`Error::Corrupt`](crate::Error::Corrupt) when the content is not the
    /// id's, [`Error::NoSpace`](crate::Error::NoSpace).
    pub fn write_object_to(&self, id: &ObjectId, to: &File) -> Result<CopiedOut> {
        let from = self.open_object(id)?;
        if to.reflink_from(&from).is_ok() {
            let bytes =
                if self.verity() == Verity::Required { to.metadata()?.size } else { check_file(id, to)? };
            return Ok(CopiedOut { bytes, is_shared: true });
        }
        let mut offset = 0;
        let bytes = self.copy_opened(id, &from, &mut |piece| {
            to.write_all_at(offset, piece)?;
            offset += piece.len() as u64;
            Ok(())
        })?;
        Ok(CopiedOut { bytes, is_shared: false })
    }

    /// Whether files in a directory can share blocks with objects. Tried with a file that has no name, so nothing is left;
    /// where none can be made, the answer is no.
    #[must_use]
    pub fn can_share_with(&self, dir: &Dir, object: &ObjectId) -> bool {
        let shared = self.open_object(object).and_then(|from| dir.create_temp(0o600)?.reflink_from(&from));
        shared.is_ok()
    }
}
