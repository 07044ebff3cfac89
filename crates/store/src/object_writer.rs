//! [`ObjectWriter`]: an object that is written while it comes in, for contents too big to be held.
//!
//! The digest is computed alongside. The kernel is asked to write early, so that the transaction's barrier finds little
//! left to do. Nothing appears before `finish`; dropping the writer leaves nothing.

use std::fmt;

use crate::{ObjectId, Result, Stored, Transaction, temporary::Temporary, verity::Hasher};

/// After how many bytes the kernel is asked to begin writing them.
const WRITEBACK_STEP: u64 = 16 << 20;

/// Writes one object of a [`Transaction`].
pub struct ObjectWriter<'a> {
    transaction: &'a Transaction,
    file: Temporary,
    hasher: Option<Hasher>,
    size: u64,
    handed_over: u64,
}

impl<'a> ObjectWriter<'a> {
    pub(crate) fn new(transaction: &'a Transaction, file: Temporary, _expected_size: u64) -> Self {
        let hasher = Some(Hasher::new(transaction.repository().algorithm()));
        Self { transaction, file, hasher, size: 0, handed_over: 0 }
    }

    /// Leaves the digest to the caller, who then ends with [`ObjectWriter::finish_known`].
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// Appends bytes. Big pieces (64 KiB and more) save system calls: nothing is buffered here.
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace), or when the disk fails; the transaction is of no use then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        let file = &self.file.file;
        self.transaction.poisoning(|| file.write_all_at(self.size, bytes))?;
        self.size += bytes.len() as u64;
        let waiting = self.size - self.handed_over;
        if waiting >= WRITEBACK_STEP {
            self.transaction.poisoning(|| file.start_writeback(self.handed_over, waiting))?;
            self.handed_over = self.size;
        }
        Ok(())
    }

    /// Appends zeros, as a hole where the file system has holes.
    ///
    /// # Errors
    /// As [`ObjectWriter::write`].
    pub fn write_zeros(&mut self, len: u64) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update_zeros(len);
        }
        self.size += len;
        self.transaction.poisoning(|| self.file.file.set_len(self.size))
    }

    /// How many bytes were written.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Publishes the object, unless it is there already.
    ///
    /// # Errors
    /// As [`Transaction::put`]; [`Error::Invalid`](crate::Error::Invalid) after [`ObjectWriter::without_digest`].
    pub fn finish(self) -> Result<Stored> {
        let Some(hasher) = self.hasher else {
            return Err(crate::Error::Invalid {
                what: "end of an object",
                value: "finish".to_owned(),
                reason: "its digest was left to the caller",
            });
        };
        self.transaction.finish_object(hasher.finish(), self.size, self.file)
    }

    /// Publishes the object under the digest that **the caller computed from the very bytes it wrote**.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn finish_known(self, id: ObjectId) -> Result<Stored> {
        self.transaction.finish_object(id, self.size, self.file)
    }
}

impl fmt::Debug for ObjectWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectWriter").field("size", &self.size).finish_non_exhaustive()
    }
}
