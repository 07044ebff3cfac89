//! Objects that share their blocks with a file of somebody else's: of another repository on the same file system.
//!
//! Invariant: as for every object, the digest decides: the kernel measures the new file where the repository requires it,
//! and we read it where not. The file that it came from may change later; the blocks are then no longer shared.

use crate::{
    ObjectId, Result, Stored, Transaction, Verity, disk::File, file_digest::check_file, layout,
    objects::Found,
};

impl Transaction {
    /// Stores the content of a file by sharing its blocks, if it has this digest. `None`, and nothing stored, where
    /// blocks cannot be shared.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when the content is another; otherwise as [`Transaction::put`].
    pub fn put_shared(&self, id: ObjectId, from: &File) -> Result<Option<Stored>> {
        let size = from.metadata()?.size;
        if self.find(&id, size)? == Found::Good {
            return Ok(Some(Stored { id, is_new: false }));
        }
        let staging = self.repository().staging()?;
        let temporary = staging.create(&staging.dir, layout::OBJECT_MODE)?;
        if size > 0 && temporary.file.reflink_from(from).is_err() {
            return Ok(None);
        }
        if self.repository().verity() != Verity::Required {
            check_file(&id, &temporary.file)?;
        }
        // D7: with fs-verity required, it is sealed and measured before it gets its name.
        self.finish_object(id, size, temporary).map(Some)
    }
}
