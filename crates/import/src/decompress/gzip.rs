//! gzip, one member after another (RFC 1952 §2.2), as eStargz and pigz write it.
//!
//! Every member's checksum and length are checked, and its header's where it has one. Zeros may follow the last member
//! (tape padding); anything else may not.

use crc32fast::Hasher;

use super::{
    Compression, DecodeError, Step,
    gzip_header::Header,
    inflate::{History, Inflater, Stop},
};

/// The checksum and the length behind a member, in bytes.
const TRAILER: usize = 8;

pub(super) struct Members {
    part: Part,
    inflater: Inflater,
    history: History,
    /// Of the member's decoded bytes.
    checksum: Hasher,
    /// How many these are, modulo 2^32.
    length: u32,
}

enum Part {
    /// Where a member may begin.
    Between,
    /// Zeros came where a member may begin: only zeros may follow.
    Padding,
    Header(Header),
    Body,
    /// So many of the trailer's bytes have come, and what they say.
    Trailer(usize, [u8; TRAILER]),
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Header(Header::new()),
            inflater: Inflater::new(),
            history: History::new(),
            checksum: Hasher::new(),
            length: 0,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        let (mut rest, mut produced) = (input, 0);
        loop {
            produced += self.history.fetch(output.get_mut(produced..).unwrap_or_default());
            if !self.history.is_fetched() || !self.advance(&mut rest)? && self.history.is_fetched() {
                return Ok(Step { consumed: input.len() - rest.len(), produced });
            }
        }
    }

    /// Takes some of the input. Says whether more of it can be taken.
    fn advance(&mut self, input: &mut &[u8]) -> Result<bool, DecodeError> {
        match &mut self.part {
            Part::Between => match input.first() {
                None => return Ok(false),
                Some(0x1f) => self.part = Part::Header(Header::new()),
                Some(0) => self.part = Part::Padding,
                Some(_) => return Err(DecodeError::Trailing(Compression::Gzip)),
            },
            Part::Padding => {
                if input.iter().any(|byte| *byte != 0) {
                    return Err(DecodeError::Trailing(Compression::Gzip));
                }
                *input = &[];
                return Ok(false);
            }
            Part::Header(header) => {
                let Some((byte, rest)) = input.split_first() else { return Ok(false) };
                *input = rest;
                if header.take(*byte).map_err(|reason| damaged(&reason))? {
                    self.inflater.begin();
                    self.history.begin();
                    self.checksum.reset();
                    self.length = 0;
                    self.part = Part::Body;
                }
            }
            Part::Body => {
                self.history.make_room();
                let before = self.history.end();
                let (taken, stop) =
                    self.inflater.run(input, &mut self.history).map_err(|reason| damaged(&reason))?;
                *input = input.get(taken..).unwrap_or_default();
                let decoded = self.history.since(before);
                self.checksum.update(decoded);
                self.length = self.length.wrapping_add(u32::try_from(decoded.len()).unwrap_or_default());
                match stop {
                    Stop::Input => return Ok(false),
                    Stop::Room => {}
                    Stop::End => self.part = Part::Trailer(0, [0; TRAILER]),
                }
            }
            Part::Trailer(have, bytes) => {
                let Some(byte) = self.inflater.take_byte(input) else { return Ok(false) };
                if let Some(place) = bytes.get_mut(*have) {
                    *place = byte;
                }
                *have += 1;
                if *have == TRAILER {
                    let bytes = *bytes;
                    self.check(bytes)?;
                    self.part = Part::Between;
                }
            }
        }
        Ok(true)
    }

    /// Compares what the trailer says with what came.
    fn check(&self, trailer: [u8; TRAILER]) -> Result<(), DecodeError> {
        let [a, b, c, d, length @ ..] = trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.checksum.clone().finalize() {
            return Err(damaged(&"its checksum is another"));
        }
        if u32::from_le_bytes(length) != self.length {
            return Err(damaged(&"its length is another"));
        }
        Ok(())
    }

    pub(super) const fn finish(&self) -> Result<(), DecodeError> {
        match self.part {
            Part::Between | Part::Padding => Ok(()),
            _ => Err(DecodeError::Truncated(Compression::Gzip)),
        }
    }
}

fn damaged(reason: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::Damaged { compression: Compression::Gzip, reason: reason.to_string() }
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
mod tests;
