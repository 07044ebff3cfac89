//! [`SplitStreamReader`]: reads a splitstream from its bytes, which may come from anybody.
//!
//! Nothing is believed before it is checked, nothing is allocated by what the bytes say: ids are read from their section
//! in place, the stream comes in pieces of a fixed size. More inline bytes than the stream has altogether are refused.

use std::io::{self, Read};

use super::{
    NAMED_REFS_LIMIT,
    header::{Info, corrupt, section},
};
use crate::{Algorithm, Error, ObjectId, Result};

/// The most inline bytes that one piece has.
const PIECE: usize = 64 << 10;

/// The largest zstd window that is accepted, as a power of two: 128 MiB, zstd's own default limit.
const WINDOW_LOG: u32 = 27;

/// A part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes that are kept in the splitstream. One chunk may come in several pieces.
    Inline(&'a [u8]),
    /// The whole content of this object.
    External(ObjectId),
}

/// Reads a splitstream.
pub struct SplitStreamReader<'a> {
    algorithm: Algorithm,
    info: Info,
    object_refs: &'a [u8],
    named_refs: Vec<(String, ObjectId)>,
    decoder: zstd::stream::read::Decoder<'static, &'a [u8]>,
    /// What is left of the chunk that is being read, in bytes.
    chunk_left: u64,
    /// What is left of the inline bytes that there can be at most.
    inline_left: u64,
    buffer: Box<[u8]>,
}

impl<'a> SplitStreamReader<'a> {
    /// Reads all but the stream itself.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are no splitstream, or one of another algorithm; [`Error::TooBig`] for more
    /// than 16 MiB of reference names.
    pub fn new(file: &'a [u8], algorithm: Algorithm) -> Result<Self> {
        let info = Info::read(file, algorithm)?;
        let refs = |range| {
            let ids = section(file, range)?;
            if ids.len() % algorithm.digest_len() != 0 {
                return Err(corrupt("a list of ids ends within an id"));
            }
            Ok(ids)
        };
        let stream_refs = refs(&info.stream_refs)?;
        let object_refs = refs(&info.object_refs)?;
        let named_refs = read_named(section(file, &info.named_refs)?, stream_refs, algorithm)?;
        let decoder = decoder(section(file, &info.stream)?)?;
        let inline_left = info.stream_size;
        let buffer = vec![0; PIECE].into();
        Ok(Self { algorithm, info, object_refs, named_refs, decoder, chunk_left: 0, inline_left, buffer })
    }

    /// What kind of bytes the stream is made from: a number of the writer's.
    #[must_use]
    pub const fn content_type(&self) -> u64 {
        self.info.content_type
    }

    /// The size of what was cut up, in bytes, as the writer says.
    #[must_use]
    pub const fn stream_size(&self) -> u64 {
        self.info.stream_size
    }

    /// The objects that the stream needs, each once.
    #[must_use]
    pub fn object_refs(&self) -> impl ExactSizeIterator<Item = ObjectId> + use<'a> {
        let algorithm = self.algorithm;
        // The length was checked, so there is an id in each.
        self.object_refs.chunks_exact(algorithm.digest_len()).map(move |digest| id_of(algorithm, digest))
    }

    /// The named references to other streams and images, in the writer's order.
    #[must_use]
    pub fn named_refs(&self) -> &[(String, ObjectId)] {
        &self.named_refs
    }

    /// The stream or image that is referred to by this name.
    #[must_use]
    pub fn named_ref(&self, name: &str) -> Option<&ObjectId> {
        self.named_refs.iter().find(|(found, _)| found == name).map(|(_, id)| id)
    }

    /// The next part of the stream, `None` at its end.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the stream breaks off, or names an object that is not in the list.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>> {
        if self.chunk_left == 0 {
            let mut number = [0; 8];
            match fill(&mut self.decoder, &mut number)? {
                0 => return Ok(None),
                8 => {}
                _ => return Err(corrupt("it ends within a chunk's head")),
            }
            let number = i64::from_le_bytes(number);
            if number >= 0 {
                return self.object(number.unsigned_abs()).map(|id| Some(Piece::External(id)));
            }
            self.chunk_left = number.unsigned_abs();
            self.inline_left = self
                .inline_left
                .checked_sub(self.chunk_left)
                .ok_or_else(|| corrupt("it has more inline bytes than bytes altogether"))?;
        }
        let wanted = usize::try_from(self.chunk_left).unwrap_or(PIECE).min(PIECE);
        let place = self.buffer.get_mut(..wanted).unwrap_or_default();
        if fill(&mut self.decoder, place)? != wanted {
            return Err(corrupt("it ends within a chunk"));
        }
        self.chunk_left -= wanted as u64;
        Ok(Some(Piece::Inline(place)))
    }

    fn object(&self, number: u64) -> Result<ObjectId> {
        let len = self.algorithm.digest_len();
        usize::try_from(number)
            .ok()
            .and_then(|number| self.object_refs.get(number.checked_mul(len)?..)?.get(..len))
            .map(|digest| id_of(self.algorithm, digest))
            .ok_or_else(|| corrupt(format!("it has no object number {number}")))
    }
}

/// The id with a digest whose length is known to be the algorithm's.
fn id_of(algorithm: Algorithm, digest: &[u8]) -> ObjectId {
    let mut padded = [0; 64];
    for (place, byte) in padded.iter_mut().zip(digest) {
        *place = *byte;
    }
    ObjectId::from_padded(algorithm, padded)
}

fn decoder(section: &[u8]) -> Result<zstd::stream::read::Decoder<'static, &[u8]>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(section).map_err(|error| damaged(&error))?;
    decoder.window_log_max(WINDOW_LOG).map_err(|error| damaged(&error))?;
    Ok(decoder)
}

/// Reads until the buffer is full or the input ends; gives how much there was.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) => return Err(damaged(&error)),
        }
    }
    Ok(done)
}

fn damaged(error: &io::Error) -> Error {
    corrupt(format!("its zstd data is bad: {error}"))
}

/// Reads the section of names: `number:name` and a NUL for each.
fn read_named(section: &[u8], stream_refs: &[u8], algorithm: Algorithm) -> Result<Vec<(String, ObjectId)>> {
    let mut text = Vec::new();
    decoder(section)?.take(NAMED_REFS_LIMIT + 1).read_to_end(&mut text).map_err(|error| damaged(&error))?;
    if text.len() as u64 > NAMED_REFS_LIMIT {
        let what = "splitstream (bytes of reference names)".to_owned();
        return Err(Error::TooBig { what, limit: NAMED_REFS_LIMIT });
    }
    let Some(records) = text.strip_suffix(b"\0") else {
        return if text.is_empty() { Ok(Vec::new()) } else { Err(corrupt("a reference name has no end")) };
    };
    let read = |record| {
        let (number, name) = std::str::from_utf8(record).ok()?.split_once(':')?;
        let number: usize = number.parse().ok()?;
        let digest = stream_refs.chunks_exact(algorithm.digest_len()).nth(number)?;
        Some((name.to_owned(), id_of(algorithm, digest)))
    };
    records
        .split(|&byte| byte == 0)
        .map(|record| read(record).ok_or_else(|| corrupt("a reference name is malformed or names no stream")))
        .collect()
}

impl std::fmt::Debug for SplitStreamReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitStreamReader").field("info", &self.info).finish_non_exhaustive()
    }
}
