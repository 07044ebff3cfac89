//! zstd frames, one after another, and where in the blob each ends.

use std::{io, path::Path};

use rustix::io::Errno;
use sealstone_store::Error as StoreError;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use crate::error::Result;

/// Above libzstd's default, 3: small frames have less to refer back to, and a blob is packed once and fetched often. At
/// this level Debian's base system takes as many bytes as containers/storage makes of it, within half a percent.
const LEVEL: i32 = 6;

/// How much room there is at a time for what comes out, in bytes.
const ROOM: usize = 32 << 10;

/// How long a frame may be to be held until its size is known, in bytes. libzstd packs small inputs much better when it
/// knows that they are, and most frames are: a header, or a chunk of some 64 KiB.
const HELD: usize = 256 << 10;

/// An encoder that can begin a new frame at any time.
pub(super) struct Frames {
    encoder: Encoder<'static>,
    /// The open frame, as long as it is short.
    held: Vec<u8>,
    /// The open frame is longer: its beginning was given to the encoder.
    is_streaming: bool,
    /// Bytes made so far.
    made: u64,
    room: Vec<u8>,
}

impl Frames {
    pub(super) fn new() -> Result<Self> {
        let encoder = Encoder::new(LEVEL).map_err(|error| failed(&error))?;
        Ok(Self { encoder, held: Vec::new(), is_streaming: false, made: 0, room: vec![0; ROOM] })
    }

    /// Bytes made so far.
    pub(super) const fn offset(&self) -> u64 {
        self.made
    }

    /// Appends to the open frame, or begins one.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if !self.is_streaming && self.held.len() + bytes.len() <= HELD {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        self.is_streaming = true;
        let held = std::mem::take(&mut self.held);
        self.encode(&held, out)?;
        self.held = held;
        self.held.clear();
        self.encode(bytes, out)
    }

    fn encode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            let mut output = OutBuffer::around(self.room.as_mut_slice());
            self.encoder.run(&mut input, &mut output).map_err(|error| failed(&error))?;
            let made = output.pos();
            self.take(made, out);
        }
        Ok(())
    }

    /// Ends the open frame, if there is one; says how many bytes were made so far.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<u64> {
        if !self.is_streaming {
            if self.held.is_empty() {
                return Ok(self.made);
            }
            let held = std::mem::take(&mut self.held);
            let size = Some(held.len() as u64);
            self.encoder.set_pledged_src_size(size).map_err(|error| failed(&error))?;
            self.encode(&held, out)?;
            self.held = held;
            self.held.clear();
        }
        loop {
            let mut output = OutBuffer::around(self.room.as_mut_slice());
            let left = self.encoder.finish(&mut output, true).map_err(|error| failed(&error))?;
            let made = output.pos();
            self.take(made, out);
            if left == 0 {
                break;
            }
        }
        self.is_streaming = false;
        self.encoder.reinit().map_err(|error| failed(&error))?;
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
