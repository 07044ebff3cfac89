//! zstd, one frame after another, skippable frames among them (RFC 8878 §3.1), as zstd:chunked and pzstd write it.
//!
//! Each frame's header is read here before libzstd sees it: its window decides whether the frame is refused, decoded,
//! or has to wait at the gate. Skippable frames are passed over without a decoder.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{
    Compression, DecodeError, Step,
    window::{FREE_WINDOW, Permit, WindowGate},
};

/// The longest frame header: magic, descriptor, window, dictionary id, content size.
const MAX_HEADER: usize = 4 + 1 + 1 + 4 + 8;

pub(super) struct Frames {
    decoder: Decoder<'static>,
    phase: Phase,
    header: [u8; MAX_HEADER],
    header_len: usize,
    window_limit: u64,
    gate: WindowGate,
    permit: Option<Permit>,
}

enum Phase {
    /// Between frames, or within a frame's header.
    Header,
    /// The header is whole and allowed; so many of its bytes were given to libzstd.
    Replay(usize),
    /// Within a frame.
    Body,
    /// Within a skippable frame: so many bytes are left.
    Skip(u64),
}

enum Header {
    /// More bytes are needed to say more.
    Unfinished,
    /// A frame with this window, in bytes.
    Frame(u64),
    /// A skippable frame with this much behind its header.
    Skippable(u64),
}

impl Frames {
    pub(super) fn new(window_limit: u64, gate: WindowGate) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new().map_err(|error| damaged(&error))?;
        let log = window_limit.checked_ilog2().unwrap_or(0).clamp(10, 31);
        decoder.set_parameter(DParameter::WindowLogMax(log)).map_err(|error| damaged(&error))?;
        Ok(Self {
            decoder,
            phase: Phase::Header,
            header: [0; MAX_HEADER],
            header_len: 0,
            window_limit,
            gate,
            permit: None,
        })
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        let mut step = Step::default();
        loop {
            let input = input.get(step.consumed..).unwrap_or_default();
            let output = output.get_mut(step.produced..).unwrap_or_default();
            match self.phase {
                Phase::Header => {
                    let Some(byte) = input.first() else { return Ok(step) };
                    step.consumed += 1;
                    self.take_header_byte(*byte)?;
                }
                Phase::Skip(left) => {
                    if left > 0 && input.is_empty() {
                        return Ok(step);
                    }
                    let now = left.min(input.len() as u64);
                    step.consumed += usize::try_from(now).unwrap_or(input.len());
                    self.phase = if left == now { Phase::Header } else { Phase::Skip(left - now) };
                }
                Phase::Replay(given) => {
                    let header = self.header;
                    let rest = header.get(given..self.header_len).unwrap_or_default();
                    let (taken, made, ended) = self.run(rest, output)?;
                    step.produced += made;
                    if !ended {
                        self.phase =
                            if taken == rest.len() { Phase::Body } else { Phase::Replay(given + taken) };
                        if taken == 0 && made == 0 {
                            return Ok(step);
                        }
                    }
                }
                Phase::Body => {
                    let (taken, made, ended) = self.run(input, output)?;
                    step.consumed += taken;
                    step.produced += made;
                    if !ended && (taken == 0 && made == 0 || made == output.len()) {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Runs libzstd once: bytes taken, bytes made, whether the frame has ended.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize, bool), DecodeError> {
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let hint = self.decoder.run(&mut from, &mut to).map_err(|error| damaged(&error))?;
        let (taken, made) = (from.pos(), to.pos());
        if hint == 0 {
            self.phase = Phase::Header;
            self.header_len = 0;
        }
        Ok((taken, made, hint == 0))
    }

    fn take_header_byte(&mut self, byte: u8) -> Result<(), DecodeError> {
        if let Some(place) = self.header.get_mut(self.header_len) {
            *place = byte;
            self.header_len += 1;
        }
        match parse_header(self.header.get(..self.header_len).unwrap_or_default())? {
            Header::Unfinished => Ok(()),
            Header::Skippable(length) => {
                self.phase = Phase::Skip(length);
                self.header_len = 0;
                Ok(())
            }
            Header::Frame(window) => {
                if window > self.window_limit {
                    return Err(DecodeError::Window { window, limit: self.window_limit });
                }
                // libzstd keeps the widest window it ever had, so the permit is kept too.
                if window > FREE_WINDOW && self.permit.is_none() {
                    self.permit = Some(self.gate.wait());
                }
                self.phase = Phase::Replay(0);
                Ok(())
            }
        }
    }

    pub(super) const fn finish(&self) -> Result<(), DecodeError> {
        match self.phase {
            Phase::Header if self.header_len == 0 => Ok(()),
            _ => Err(DecodeError::Truncated(Compression::Zstd)),
        }
    }
}

fn damaged(error: &std::io::Error) -> DecodeError {
    DecodeError::Damaged { compression: Compression::Zstd, reason: error.to_string() }
}

/// Reads a frame header, RFC 8878 §3.1.1.1, or a skippable one, §3.1.2.
fn parse_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(Header::Unfinished);
    };
    match u32::from_le_bytes(*magic) {
        0xfd2f_b528 => parse_frame_header(rest),
        0x184d_2a50..=0x184d_2a5f => Ok(rest
            .first_chunk::<4>()
            .map_or(Header::Unfinished, |length| Header::Skippable(u64::from(u32::from_le_bytes(*length))))),
        _ => Err(DecodeError::Trailing(Compression::Zstd)),
    }
}

/// Reads what follows the magic number.
fn parse_frame_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    let Some((descriptor, rest)) = bytes.split_first() else { return Ok(Header::Unfinished) };
    let single_segment = descriptor & 0x20 != 0;
    let window_len = usize::from(!single_segment);
    let dictionary_len = match descriptor & 3 {
        3 => 4,
        length => usize::from(length),
    };
    let size_len = match descriptor >> 6 {
        0 => usize::from(single_segment),
        log => 1 << log,
    };
    let Some(fields) = rest.get(..window_len + dictionary_len + size_len) else {
        return Ok(Header::Unfinished);
    };
    let (window, fields) = fields.split_at(window_len);
    let (dictionary, size) = fields.split_at(dictionary_len);
    if dictionary.iter().any(|byte| *byte != 0) {
        return Err(DecodeError::Unsupported("a zstd dictionary"));
    }
    let window = window.first().map_or_else(
        || {
            let size = size.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            // A two-byte size counts from 256.
            if size_len == 2 { size + 256 } else { size }
        },
        |byte| {
            let base = 1_u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        },
    );
    Ok(Header::Frame(window))
}
