//! Decompression of layer blobs: gzip, zstd or nothing, told apart by the bytes, never by the media type.
//!
//! A [`Decoder`] does no input or output of its own: it is given compressed bytes and room, and says how much it took
//! and made. What it makes is bounded in bytes and in ratio; zstd windows above 8 MiB are given out one at a time by a
//! [`WindowGate`]. What never lives here: digests (the caller hashes both sides), threads, external programs.

mod gzip;
mod gzip_header;
mod inflate;
mod window;
mod zstd;

pub use window::WindowGate;

use crate::Limits;
use gzip::Members;
use zstd::Frames;

/// How a blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all: the bytes are the tar.
    None,
    /// gzip (RFC 1952), one member or many.
    Gzip,
    /// zstd (RFC 8878), one frame or many, skippable ones among them.
    Zstd,
}

impl Compression {
    /// A short name: `none`, `gzip`, `zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What the first bytes of a blob say; six are enough, fewer when the blob is shorter.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] for xz and bzip2, which OCI does not have.
    pub fn detect(start: &[u8]) -> Result<Self, DecodeError> {
        // Magic numbers: RFC 1952 §2.3.1, RFC 8878 §3.1.1 and §3.1.2, xz's file format §2.1.1.1, bzip2's `BZh`.
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(DecodeError::Unsupported("xz")),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Err(DecodeError::Unsupported("bzip2")),
            _ => Ok(Self::None),
        }
    }
}

/// Why a blob cannot be decompressed. The caller knows which blob it is, and says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not what the compression's format allows.
    #[error("the {} data is damaged: {reason}", .compression.name())]
    Damaged {
        /// The format.
        compression: Compression,
        /// What the decoder says.
        reason: String,
    },
    /// The blob ends in the middle.
    #[error("the {} data ends too early", .0.name())]
    Truncated(Compression),
    /// Bytes that are no part of the compressed data follow it.
    #[error("garbage follows the {} data", .0.name())]
    Trailing(Compression),
    /// A format, or a part of one, that layers may not have.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// More bytes come out than the limit allows.
    #[error("it unpacks to more than {0} bytes")]
    TooLong(u64),
    /// So many bytes come out of so few that it can only be a bomb.
    #[error("it unpacks to more than {0} times its size")]
    Ratio(u64),
    /// A zstd frame wants a bigger window than the limit allows.
    #[error("a zstd frame wants a window of {window} bytes, the limit is {limit}")]
    Window {
        /// What the frame declares, in bytes.
        window: u64,
        /// The limit, in bytes.
        limit: u64,
    },
}

/// The bounds of one decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most bytes that may come out.
    pub output_bytes: u64,
    /// The most bytes out for one byte in, checked once `ratio_after` bytes came out.
    pub ratio: u64,
    /// How many bytes may come out before the ratio counts.
    pub ratio_after: u64,
    /// The biggest zstd window, in bytes.
    pub window_bytes: u64,
}

impl From<&Limits> for DecodeLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            output_bytes: limits.layer_bytes,
            ratio: limits.layer_ratio,
            ratio_after: limits.layer_ratio_after,
            window_bytes: limits.zstd_window_bytes,
        }
    }
}

impl Default for DecodeLimits {
    /// Those of the default [`Limits`].
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

/// What one [`Decoder::step`] did, in bytes. Both are 0 only when there was no input or no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Taken from the input.
    pub consumed: usize,
    /// Put into the output.
    pub produced: usize,
}

/// Decompresses one blob, piece by piece.
///
/// ```
/// use sealstone_import::decompress::{Compression, DecodeLimits, Decoder, WindowGate};
///
/// let mut decoder = Decoder::new(DecodeLimits::default(), WindowGate::default());
/// let mut room = [0; 16];
/// let step = decoder.step(b"plain", &mut room).unwrap();
/// assert_eq!((step.produced, decoder.compression()), (5, Some(Compression::None)));
/// decoder.finish().unwrap();
/// ```
pub struct Decoder {
    state: State,
    limits: DecodeLimits,
    gate: WindowGate,
    taken: u64,
    made: u64,
}

enum State {
    Start,
    Plain,
    Gzip(Box<Members>),
    Zstd(Box<Frames>),
}

impl Decoder {
    /// A decoder at the start of a blob; wide windows are asked for at `gate`.
    #[must_use]
    pub const fn new(limits: DecodeLimits, gate: WindowGate) -> Self {
        Self { state: State::Start, limits, gate, taken: 0, made: 0 }
    }

    /// A decoder for bytes that are known to be a tar, whatever they look like.
    #[must_use]
    pub fn plain(limits: DecodeLimits) -> Self {
        Self { state: State::Plain, ..Self::new(limits, WindowGate::default()) }
    }

    /// How the blob is compressed; known after the first step.
    #[must_use]
    pub const fn compression(&self) -> Option<Compression> {
        match self.state {
            State::Start => None,
            State::Plain => Some(Compression::None),
            State::Gzip(_) => Some(Compression::Gzip),
            State::Zstd(_) => Some(Compression::Zstd),
        }
    }

    /// Takes from `input`, puts into `output`. The first input has to hold at least six bytes, or the whole blob.
    ///
    /// # Errors
    /// See [`DecodeError`]; the decoder is of no use afterwards.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        if matches!(self.state, State::Start) && !input.is_empty() {
            self.state = match Compression::detect(input)? {
                Compression::None => State::Plain,
                Compression::Gzip => State::Gzip(Box::new(Members::new())),
                Compression::Zstd => {
                    State::Zstd(Box::new(Frames::new(self.limits.window_bytes, self.gate.clone())?))
                }
            };
        }
        let step = match &mut self.state {
            State::Start => Step::default(),
            State::Plain => copy(input, output),
            State::Gzip(members) => members.step(input, output)?,
            State::Zstd(frames) => frames.step(input, output)?,
        };
        self.count(step)?;
        Ok(step)
    }

    /// Says that the blob has ended.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when a member or frame is not whole.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match &self.state {
            State::Start | State::Plain => Ok(()),
            State::Gzip(members) => members.finish(),
            State::Zstd(frames) => frames.finish(),
        }
    }

    fn count(&mut self, step: Step) -> Result<(), DecodeError> {
        self.taken = self.taken.saturating_add(step.consumed as u64);
        self.made = self.made.saturating_add(step.produced as u64);
        let DecodeLimits { output_bytes, ratio, ratio_after, .. } = self.limits;
        if self.made > output_bytes {
            return Err(DecodeError::TooLong(output_bytes));
        }
        if self.made > ratio_after && self.made / ratio.max(1) > self.taken {
            return Err(DecodeError::Ratio(ratio));
        }
        Ok(())
    }
}

fn copy(input: &[u8], output: &mut [u8]) -> Step {
    let length = input.len().min(output.len());
    if let (Some(from), Some(to)) = (input.get(..length), output.get_mut(..length)) {
        to.copy_from_slice(from);
    }
    Step { consumed: length, produced: length }
}

#[cfg(test)]
mod tests;
