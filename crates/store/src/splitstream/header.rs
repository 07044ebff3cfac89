//! The fixed parts of a splitstream: the header and the info block, as bytes.
//!
//! bootc up to 1.15 wrote a header whose fields the compiler had put into another order; it is read, never written.

use std::ops::Range;

use crate::{Algorithm, BLOCK_SIZE, Error, Result};

const MAGIC: [u8; 11] = *b"SplitStream";
/// The only version.
const VERSION: u8 = 0;
/// The size of the header, in bytes.
pub(super) const HEADER_LEN: usize = 32;
/// The size of the info block that we write, in bytes. A longer one is read as if it ended there.
pub(super) const INFO_LEN: usize = 80;

/// Where the sections are, and what is said about the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) stream_refs: Range<u64>,
    pub(super) object_refs: Range<u64>,
    pub(super) stream: Range<u64>,
    pub(super) named_refs: Range<u64>,
    /// A number of the writer's choice that says what kind of bytes these are.
    pub(super) content_type: u64,
    /// The size of what was cut up, in bytes.
    pub(super) stream_size: u64,
}

/// Damage to a splitstream.
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    Error::corrupt("splitstream", reason)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

/// The bytes of a section.
pub(super) fn section<'a>(file: &'a [u8], range: &Range<u64>) -> Result<&'a [u8]> {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    bounds.and_then(|(start, end)| file.get(start..end)).ok_or_else(|| {
        corrupt(format!("a section is at {}..{} of {} bytes", range.start, range.end, file.len()))
    })
}

impl Info {
    /// Reads header and info block.
    pub(super) fn read(file: &[u8], algorithm: Algorithm) -> Result<Self> {
        let header = file.get(..HEADER_LEN).ok_or_else(|| corrupt("it is shorter than its header"))?;
        // Today's order: magic, version, flags, algorithm, block size, info. The old one: info, flags, magic, …
        let (magic_at, version_at, info_at) = match header {
            new if new.starts_with(&MAGIC) => (0, 11, 16),
            old if old.get(18..29) == Some(&MAGIC) => (18, 29, 0),
            _ => return Err(corrupt("it does not begin as one")),
        };
        let byte = |at: usize| header.get(at).copied().unwrap_or_default();
        if byte(version_at) != VERSION {
            return Err(corrupt(format!("it has the unknown version {}", byte(version_at))));
        }
        let (algorithm_at, block_at) = if magic_at == 0 { (14, 15) } else { (30, 31) };
        if byte(algorithm_at) != algorithm.kernel_number() {
            return Err(corrupt("its ids are of another algorithm"));
        }
        if u32::from(byte(block_at)) != BLOCK_SIZE.trailing_zeros() {
            return Err(corrupt("its ids are of another block size"));
        }
        let start = u64_at(header, info_at).unwrap_or_default();
        let end = u64_at(header, info_at + 8).unwrap_or_default();
        let info = section(file, &(start..end))?;
        let number = |at: usize| u64_at(info, at).ok_or_else(|| corrupt("its info block is too short"));
        let range = |at: usize| Ok::<_, Error>(number(at)?..number(at + 8)?);
        Ok(Self {
            stream_refs: range(0)?,
            object_refs: range(16)?,
            stream: range(32)?,
            named_refs: range(48)?,
            content_type: number(64)?,
            stream_size: number(72)?,
        })
    }

    /// Header and info block, the latter right behind the former.
    pub(super) fn to_bytes(&self, algorithm: Algorithm) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + INFO_LEN);
        bytes.extend_from_slice(&MAGIC);
        let block = u8::try_from(BLOCK_SIZE.trailing_zeros()).unwrap_or_default();
        bytes.extend_from_slice(&[VERSION, 0, 0, algorithm.kernel_number(), block]);
        let info = HEADER_LEN as u64..(HEADER_LEN + INFO_LEN) as u64;
        for range in [&info, &self.stream_refs, &self.object_refs, &self.stream, &self.named_refs] {
            bytes.extend_from_slice(&range.start.to_le_bytes());
            bytes.extend_from_slice(&range.end.to_le_bytes());
        }
        bytes.extend_from_slice(&self.content_type.to_le_bytes());
        bytes.extend_from_slice(&self.stream_size.to_le_bytes());
        bytes
    }
}
