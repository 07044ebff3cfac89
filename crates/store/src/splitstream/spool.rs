//! [`Spool`]: compressed bytes of unknown length, kept in memory while they are few and in an unnamed file otherwise.

use std::{io, sync::Arc};

use crate::{
    Result, layout,
    temporary::{Staging, Temporary},
};

/// How many bytes are kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// How much is read back at a time, in bytes.
const READ_CHUNK: usize = 256 << 10;

/// What a compressor writes into.
pub(super) struct Spool {
    staging: Arc<Staging>,
    /// What has not been written to the file.
    memory: Vec<u8>,
    file: Option<Temporary>,
    /// How much the file holds, in bytes.
    written: u64,
}

impl Spool {
    pub(super) fn new(staging: Arc<Staging>) -> Self {
        Self { staging, memory: Vec::new(), file: None, written: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.written + self.memory.len() as u64
    }

    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.staging.create(&self.staging.dir, layout::OBJECT_MODE)?),
        };
        file.file.write_all_at(self.written, &self.memory)?;
        self.written += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// Gives everything back, in order.
    pub(super) fn drain(self, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(file) = &self.file {
            let mut buffer = vec![0; READ_CHUNK];
            let mut offset = 0;
            while offset < self.written {
                let count = file.file.read_at(offset, &mut buffer)?;
                if count == 0 {
                    return Err(super::header::corrupt("a temporary file lost its end"));
                }
                sink(buffer.get(..count).unwrap_or_default())?;
                offset += count as u64;
            }
        }
        sink(&self.memory)
    }
}

impl io::Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() >= IN_MEMORY {
            self.spill().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
