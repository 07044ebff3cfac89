//! zstd frames, one after another, and where in the blob each ends.

use std::{io, path::Path};

use rustix::io::Errno;
use sealstone_store::Error as StoreError;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use crate::error::Result;

/// libzstd's own default, which containers/storage takes too.
const LEVEL: i32 = 3;

/// How much room there is at a time for what comes out, in bytes.
const ROOM: usize = 32 << 10;

/// An encoder that can begin a new frame at any time.
pub(super) struct Frames {
    encoder: Encoder<'static>,
    /// A frame has begun.
    is_open: bool,
    /// Bytes made so far.
    made: u64,
    room: Vec<u8>,
}

impl Frames {
    pub(super) fn new() -> Result<Self> {
        let encoder = Encoder::new(LEVEL).map_err(|error| failed(&error))?;
        Ok(Self { encoder, is_open: false, made: 0, room: vec![0; ROOM] })
    }

    /// Bytes made so far.
    pub(super) const fn offset(&self) -> u64 {
        self.made
    }

    /// Appends to the open frame, or begins one.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.is_open = true;
            let mut output = OutBuffer::around(self.room.as_mut_slice());
            self.encoder.run(&mut input, &mut output).map_err(|error| failed(&error))?;
            let made = output.pos();
            self.take(made, out);
        }
        Ok(())
    }

    /// Ends the open frame, if there is one; says how many bytes were made so far.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<u64> {
        while self.is_open {
            let mut output = OutBuffer::around(self.room.as_mut_slice());
            let left = self.encoder.finish(&mut output, true).map_err(|error| failed(&error))?;
            let made = output.pos();
            self.take(made, out);
            if left == 0 {
                self.is_open = false;
                self.encoder.reinit().map_err(|error| failed(&error))?;
            }
        }
        Ok(self.made)
    }

    fn take(&mut self, count: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.room.get(..count).unwrap_or_default());
        self.made += count as u64;
    }
}

/// An encoder that writes into memory fails only for lack of it.
fn failed(error: &io::Error) -> StoreError {
    StoreError::at("compress", Path::new("layer"), Errno::from_io_error(error).unwrap_or(Errno::NOMEM))
}
