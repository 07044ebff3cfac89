//! A part of an open file that is written like a file of its own: a partition of a disk image.

use sealstone_store::disk::File;

use crate::DeployError;

/// How much is looked at at a time for zeros, in bytes.
const GRAIN: usize = 4096;

/// A part of a file; what was never written there reads as zeros.
#[derive(Clone, Copy, Debug)]
pub(in crate::install) struct Area<'a> {
    file: &'a File,
    start: u64,
    size: u64,
}

impl<'a> Area<'a> {
    pub(in crate::install) const fn new(file: &'a File, start: u64, size: u64) -> Self {
        Self { file, start, size }
    }

    /// Its size in bytes.
    pub(in crate::install) const fn size(&self) -> u64 {
        self.size
    }

    /// Writes bytes, without those that are zeros in whole pages: the file has holes there.
    pub(in crate::install) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), DeployError> {
        let mut from = 0;
        let mut run: Option<usize> = None;
        for piece in bytes.chunks(GRAIN) {
            let is_zero = piece.iter().all(|&byte| byte == 0);
            match (is_zero, run) {
                (false, None) => run = Some(from),
                (true, Some(begin)) => {
                    self.write_all(at, begin, bytes.get(begin..from))?;
                    run = None;
                }
                _ => {}
            }
            from += piece.len();
        }
        match run {
            Some(begin) => self.write_all(at, begin, bytes.get(begin..)),
            None => Ok(()),
        }
    }

    fn write_all(&self, at: u64, begin: usize, bytes: Option<&[u8]>) -> Result<(), DeployError> {
        let at = self.start.saturating_add(at).saturating_add(begin as u64);
        Ok(self.file.write_all_at(at, bytes.unwrap_or_default())?)
    }
}
