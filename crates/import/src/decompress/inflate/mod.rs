//! Inflate: the decompressor of gzip's data (RFC 1951), written for speed, without unsafe code.
//!
//! What lives here: blocks, codes, and the last 32 KiB, which matches reach back to. What does not: gzip's headers and
//! checksums. Streams that zlib refuses are refused, for the same reasons; what it accepts is accepted.
//!
//! ```text
//! bits → lengths → code → litlen, distance (tables) → fast, nearly always → history → whoever fetches it
//!                                                   → tables, one symbol, for what is rare and at the ends
//! ```
//!
//! Any cut of the input is possible: a symbol is decoded when all of its bits are there, and not at all before.

mod bits;
mod code;
mod distance;
mod fast;
mod history;
mod lengths;
mod litlen;
mod symbols;
mod tables;

use bits::Bits;
pub(super) use history::History;
use history::LONGEST;
use lengths::{Lengths, Read};
use tables::{Symbol, Tables};

/// Why a stream cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("a block of no known type")]
    BlockType,
    #[error("the two lengths of a stored block differ")]
    StoredLength,
    #[error("a block of more symbols than there are")]
    TooManySymbols,
    #[error("a code with more codewords than fit")]
    TooManyCodes,
    #[error("a code with fewer codewords than it needs")]
    TooFewCodes,
    #[error("a repeated code length with nothing to repeat, or too often")]
    Repeat,
    #[error("a block without a code for its end")]
    NoEnd,
    #[error("an invalid literal or length")]
    LengthCode,
    #[error("an invalid distance")]
    DistanceCode,
    #[error("a match from before the beginning")]
    TooFar,
}

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All of the input was taken, and more is needed.
    Input,
    /// The history is full: it has to be fetched.
    Room,
    /// The stream has ended.
    End,
}

enum Phase {
    /// Between blocks.
    Block,
    StoredLength,
    /// So many bytes of a stored block are left.
    Stored(usize),
    Lengths,
    Symbols,
    End,
}

/// Decodes one stream after another.
pub(super) struct Inflater {
    held: u64,
    count: u32,
    phase: Phase,
    /// The block at hand is the stream's last.
    is_last: bool,
    lengths: Lengths,
    tables: Tables,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self {
            held: 0,
            count: 0,
            phase: Phase::Block,
            is_last: false,
            lengths: Lengths::new(),
            tables: Tables::new(),
        }
    }

    /// Begins a new stream. No bits of an old one may be left: see [`Self::take_byte`].
    pub(super) const fn begin(&mut self) {
        self.phase = Phase::Block;
        self.is_last = false;
    }

    /// Decodes `input` into `history`. Says how much of the input was taken, and why not more.
    pub(super) fn run(&mut self, input: &[u8], history: &mut History) -> Result<(usize, Stop), Damage> {
        let mut bits = Bits { held: self.held, count: self.count, input, at: 0 };
        let stop = loop {
            if let Some(stop) = self.step(&mut bits, history)? {
                break stop;
            }
        };
        (self.held, self.count) = (bits.held, bits.count);
        Ok((bits.at, stop))
    }

    /// Takes a byte of what follows an ended stream: up to seven were taken from the input before it was known to end.
    pub(super) fn take_byte(&mut self, input: &mut &[u8]) -> Option<u8> {
        let mut bits = Bits { held: self.held, count: self.count, input: &[], at: 0 };
        if let Some(byte) = bits.take(8) {
            (self.held, self.count) = (bits.held, bits.count);
            return Some((byte & 0xff) as u8);
        }
        let (byte, rest) = input.split_first()?;
        *input = rest;
        Some(*byte)
    }

    /// Goes through one phase, or as far as it can: then says why no further.
    fn step(&mut self, bits: &mut Bits<'_>, history: &mut History) -> Result<Option<Stop>, Damage> {
        match self.phase {
            Phase::Block if self.is_last => {
                bits.align();
                self.phase = Phase::End;
            }
            Phase::Block => {
                let Some(head) = bits.take(3) else { return Ok(Some(Stop::Input)) };
                self.is_last = head & 1 != 0;
                self.phase = match head >> 1 {
                    0 => {
                        bits.align();
                        Phase::StoredLength
                    }
                    1 => {
                        self.tables.set_fixed()?;
                        Phase::Symbols
                    }
                    2 => {
                        self.lengths.begin();
                        Phase::Lengths
                    }
                    _ => return Err(Damage::BlockType),
                };
            }
            Phase::StoredLength => {
                let Some(both) = bits.take(32) else { return Ok(Some(Stop::Input)) };
                if both & 0xffff != !both >> 16 {
                    return Err(Damage::StoredLength);
                }
                self.phase = Phase::Stored((both & 0xffff) as usize);
            }
            Phase::Stored(0) => self.phase = Phase::Block,
            Phase::Stored(left) => return Ok(self.stored(left, bits, history)),
            Phase::Lengths => {
                let Some(Read { literals, distances }) = self.lengths.read(bits)? else {
                    return Ok(Some(Stop::Input));
                };
                self.tables.set(literals, distances)?;
                self.phase = Phase::Symbols;
            }
            Phase::Symbols => return self.symbols(bits, history),
            Phase::End => return Ok(Some(Stop::End)),
        }
        Ok(None)
    }

    /// Copies a part of a stored block: of the bits first, which hold whole bytes here, then of the input.
    fn stored(&mut self, left: usize, bits: &mut Bits<'_>, history: &mut History) -> Option<Stop> {
        if history.room() == 0 {
            return Some(Stop::Room);
        }
        let count = if let Some(byte) = (bits.count > 0).then(|| bits.take(8)).flatten() {
            history.append(&[(byte & 0xff) as u8])
        } else {
            let rest = bits.input.get(bits.at..).unwrap_or_default();
            let count = history.append(rest.get(..left).unwrap_or(rest));
            bits.at += count;
            if count == 0 {
                return Some(Stop::Input);
            }
            count
        };
        self.phase = Phase::Stored(left - count);
        None
    }

    /// Decodes the symbols of a block.
    fn symbols(&mut self, bits: &mut Bits<'_>, history: &mut History) -> Result<Option<Stop>, Damage> {
        /// How many literals are decoded one by one before the fast loop is tried again.
        const LITERALS: usize = 4;
        loop {
            fast::decode(&self.tables, bits, history)?;
            for _ in 0..LITERALS {
                if history.room() < LONGEST {
                    return Ok(Some(Stop::Room));
                }
                match self.tables.next(bits)? {
                    None => return Ok(Some(Stop::Input)),
                    Some(Symbol::Literal(byte)) => {
                        history.append(&[byte]);
                    }
                    Some(Symbol::Match { distance, .. }) if distance > history.reach() => {
                        return Err(Damage::TooFar);
                    }
                    Some(Symbol::Match { length, distance }) => {
                        history.append_match(distance, length);
                        break;
                    }
                    Some(Symbol::End) => {
                        self.phase = Phase::Block;
                        return Ok(None);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
