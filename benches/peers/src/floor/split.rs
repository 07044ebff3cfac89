//! Cuts a tar stream into file bodies, with the least work that finds them.
//!
//! Lives here: sizes and types of headers, nothing else of tar. Bodies that lie inside a chunk are not copied.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::chunk::Chunk;

/// Bodies above this size are streamed.
const LARGE: u64 = 1 << 20;
/// Bodies up to this size live in an image's inodes and are no objects.
const INLINE: u64 = 64;
const BLOCK: usize = 512;

/// A small file's body.
pub enum Body {
    /// Inside a chunk.
    Shared(Arc<Chunk>, Range<usize>),
    /// Put together from two chunks or more.
    Owned(Vec<u8>),
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(chunk, range) => &chunk[range.clone()],
            Self::Owned(bytes) => bytes,
        }
    }
}

/// What takes the bodies.
pub trait Sink {
    /// A whole small body.
    fn small(&mut self, body: Body) -> Result<()>;
    /// A piece of a large body; the last piece comes with `is_last`.
    fn large(&mut self, piece: &[u8], is_last: bool) -> Result<()>;
    /// The end of a chunk: what was taken may be handed on.
    fn chunk_end(&mut self) -> Result<()>;
}

enum State {
    Header(Vec<u8>),
    Small { size: usize, padding: u64, begun: Vec<u8> },
    Large { left: u64, padding: u64 },
    Skip(u64),
}

/// Cuts the stream that is fed to it.
pub struct Splitter<S: Sink> {
    state: State,
    sink: S,
}

impl<S: Sink> Splitter<S> {
    /// Starts at a tar stream's first byte.
    pub fn new(sink: S) -> Self {
        Self { state: State::Header(Vec::with_capacity(BLOCK)), sink }
    }

    /// Takes the next chunk of the stream.
    pub fn feed(&mut self, chunk: &Arc<Chunk>) -> Result<()> {
        let mut at = 0;
        while at < chunk.len() {
            at += self.step(chunk, at)?;
        }
        self.sink.chunk_end()
    }

    /// The sink, after the stream's end.
    pub fn finish(self) -> S {
        self.sink
    }

    fn step(&mut self, chunk: &Arc<Chunk>, at: usize) -> Result<usize> {
        let rest = &chunk[at..];
        match &mut self.state {
            State::Header(begun) => {
                if begun.is_empty() && rest.len() >= BLOCK {
                    self.state = after_header(&rest[..BLOCK])?;
                    return Ok(BLOCK);
                }
                let taken = rest.len().min(BLOCK - begun.len());
                begun.extend_from_slice(&rest[..taken]);
                if begun.len() == BLOCK {
                    self.state = after_header(begun)?;
                }
                Ok(taken)
            }
            State::Small { size, padding, begun } => {
                let taken = rest.len().min(*size - begun.len());
                let body = if taken == *size {
                    Body::Shared(Arc::clone(chunk), at..at + taken)
                } else {
                    begun.reserve_exact(*size - begun.len());
                    begun.extend_from_slice(&rest[..taken]);
                    if begun.len() < *size {
                        return Ok(taken);
                    }
                    Body::Owned(std::mem::take(begun))
                };
                self.state = State::Skip(*padding);
                self.sink.small(body)?;
                Ok(taken)
            }
            State::Large { left, padding } => {
                let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                let is_last = *left == 0;
                if is_last {
                    self.state = State::Skip(*padding);
                }
                self.sink.large(&rest[..taken], is_last)?;
                Ok(taken)
            }
            State::Skip(left) => {
                let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Header(Vec::with_capacity(BLOCK));
                }
                Ok(taken)
            }
        }
    }
}

fn after_header(header: &[u8]) -> Result<State> {
    let size = octal(&header[124..136])?;
    let padded = size.next_multiple_of(BLOCK as u64);
    let is_object = matches!(header[156], b'0' | 0) && size > INLINE;
    Ok(if !is_object {
        State::Skip(padded)
    } else if size > LARGE {
        State::Large { left: size, padding: padded - size }
    } else {
        State::Small { size: usize::try_from(size)?, padding: padded - size, begun: Vec::new() }
    })
}

fn octal(field: &[u8]) -> Result<u64> {
    field.iter().take_while(|byte| !matches!(byte, 0 | b' ')).try_fold(0, |value, byte| match byte {
        b'0'..=b'7' => Ok(value * 8 + u64::from(byte - b'0')),
        _ => bail!("a size that is not octal"),
    })
}
