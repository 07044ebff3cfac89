//! A blob seen through its decompressor: what comes out are the bytes inside, whatever they were packed with.
//!
//! What never lives here: digests. Those are of the packed bytes or of what is made of the plain ones; the caller knows.

use super::{Blob, fill};
use crate::{
    decompress::{DecodeLimits, Decoder, WindowGate},
    error::{ImportError, Result},
};

/// How much is read of the packed blob at a time, in bytes.
const STEP: usize = 256 << 10;

/// A blob of gzip, zstd or neither, as a blob of what is in it. Takes 256 KiB, and what the decoder takes.
pub(crate) struct Unpacked<'a> {
    blob: Box<dyn Blob + 'a>,
    what: String,
    decoder: Decoder,
    packed: Vec<u8>,
    /// Of `packed`, how much was read and how much of that is used up.
    filled: usize,
    used: usize,
    ended: bool,
}

impl<'a> Unpacked<'a> {
    /// `what` is the blob's name in errors.
    pub(crate) fn new(what: impl Into<String>, blob: Box<dyn Blob + 'a>, limits: DecodeLimits) -> Self {
        let decoder = Decoder::new(limits, WindowGate::default());
        let packed = vec![0; STEP];
        Self { blob, what: what.into(), decoder, packed, filled: 0, used: 0, ended: false }
    }
}

impl Blob for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let decode = |source| ImportError::Decode { what: self.what.clone(), source };
        while !buffer.is_empty() {
            if self.used == self.filled && !self.ended {
                self.filled = fill(&mut *self.blob, &mut self.packed)?;
                self.used = 0;
                self.ended = self.filled == 0;
            }
            let input = self.packed.get(self.used..self.filled).unwrap_or_default();
            let step = self.decoder.step(input, buffer).map_err(decode)?;
            self.used += step.consumed;
            if step.produced > 0 {
                return Ok(step.produced);
            }
            // With no input left, the decoder has given out what it held.
            if self.ended {
                self.decoder.finish().map_err(decode)?;
                break;
            }
        }
        Ok(0)
    }
}
