//! [`Raw`]: an image that is the disk.

use super::{DiskSink, runs};
use crate::error::{ImportError, Result};

pub(super) struct Raw {
    name: String,
    limit: u64,
    at: u64,
}

impl Raw {
    pub(super) fn new(name: &str, limit: u64) -> Self {
        Self { name: name.to_owned(), limit, at: 0 }
    }

    /// How many bytes came.
    pub(super) const fn len(&self) -> u64 {
        self.at
    }

    pub(super) fn take(&mut self, bytes: &[u8], sink: &mut dyn DiskSink) -> Result<()> {
        let end = self.at.saturating_add(bytes.len() as u64);
        if end > self.limit {
            return Err(ImportError::TooBig { what: format!("{} (bytes)", self.name), limit: self.limit });
        }
        for (offset, run, is_hole) in runs(self.at, bytes) {
            if is_hole {
                sink.zero(offset, run.len() as u64)?;
            } else {
                sink.write(offset, run)?;
            }
        }
        self.at = end;
        Ok(())
    }
}
