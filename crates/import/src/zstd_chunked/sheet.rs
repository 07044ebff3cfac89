//! [`Sheet`]: the table of contents and the tar-split of a layer, fetched and proven.

use std::io::{self, Read};

use super::{Annotations, Part, Stop, Toc};
use crate::{
    Digest, Limits,
    decompress::DecodeLimits,
    error::{ImportError, Result},
    oci::Descriptor,
    source::{Blob, Source, Unpacked, fill},
    tar_split::TarSplitReader,
};

/// The bytes between table and tar-split that are fetched along: the header of a skippable frame, and some room.
const GAP: u64 = 4096;

/// A layer's table of contents and tar-split, with the digests that the manifest says.
pub(super) struct Sheet {
    pub(super) toc: Toc,
    /// Packed: it is read twice, and is ten times as big unpacked.
    tar_split: Vec<u8>,
    tar_split_unpacked: u64,
    /// Its name in errors.
    what: String,
}

impl Sheet {
    /// Fetches both in one request; `count` is told how many bytes came.
    pub(super) fn fetch(
        source: &dyn Source,
        descriptor: &Descriptor,
        annotations: &Annotations,
        limits: &Limits,
        count: &dyn Fn(u64),
    ) -> Result<Self, Stop> {
        let Annotations { toc_digest, toc, tar_split } = annotations;
        let range = annotations.range();
        let between = tar_split.offset.saturating_sub(toc.offset).saturating_sub(toc.packed);
        if range.end - range.start > limits.chunked_packed_bytes || between > GAP {
            return Err(Stop::unfit("its table of contents and tar-split are too big, or far apart"));
        }
        if toc.unpacked > limits.chunked_toc_bytes {
            return Err(Stop::unfit(format!(
                "its table of contents has more than {} bytes",
                limits.chunked_toc_bytes
            )));
        }
        let len = range.end - range.start;
        let blob = source.open_range(descriptor, range.start, len)?;
        let mut blob = blob.ok_or_else(|| Stop::unfit("the source gives no parts of blobs"))?;
        let bytes = read(&mut *blob, len, count)?;
        drop(blob);
        let name = |part: &str| format!("{part} of layer {}", descriptor.digest());
        let packed_toc = slice(&bytes, range.start, toc);
        check(&name("table of contents"), toc_digest, packed_toc)?;
        let what = name("table of contents");
        let parsed = parse(&what, packed_toc, toc, limits)?;
        let Some(digest) = parsed.tar_split_digest() else {
            return Err(Stop::unfit("its table of contents names no tar-split"));
        };
        let what = name("tar-split");
        let packed = slice(&bytes, range.start, tar_split);
        check(&what, digest, packed)?;
        Ok(Self { tar_split: packed.to_vec(), tar_split_unpacked: tar_split.unpacked, toc: parsed, what })
    }

    /// Reads the tar-split from its start.
    pub(super) fn tar_split(&self, limits: &Limits) -> TarSplitReader<'_> {
        // A layer of nothing but headers is bounded by what its tar may have, in base64.
        let bound = limits.layer_bytes.saturating_mul(2);
        let limits = Limits { layer_bytes: self.tar_split_unpacked.min(bound), ..limits.clone() };
        TarSplitReader::new(self.what.clone(), Box::new(self.tar_split.as_slice()), &limits)
    }
}

/// Reads exactly `len` bytes.
pub(super) fn read(blob: &mut dyn Blob, len: u64, count: &dyn Fn(u64)) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let filled = fill(blob, &mut bytes)?;
    count(filled as u64);
    if filled < bytes.len() {
        let what = "part of a blob".to_owned();
        return Err(ImportError::Size { what, expected: len, actual: filled as u64 });
    }
    // The end lets the connection go.
    blob.read(&mut [0])?;
    Ok(bytes)
}

/// A part, out of bytes that begin at `start` in the blob.
fn slice<'b>(bytes: &'b [u8], start: u64, part: &Part) -> &'b [u8] {
    let place = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    let end = part.offset.saturating_add(part.packed);
    bytes.get(place(part.offset)..place(end)).unwrap_or_default()
}

/// Compares bytes with the digest that named them.
pub(super) fn check(what: &str, expected: &Digest, bytes: &[u8]) -> Result<()> {
    let actual = Digest::of(expected.algorithm(), bytes);
    if actual == *expected { Ok(()) } else { Err(ImportError::digest(what, expected, &actual)) }
}

fn parse(what: &str, packed: &[u8], part: &Part, limits: &Limits) -> Result<Toc> {
    let bounds = DecodeLimits { output_bytes: part.unpacked, ..limits.into() };
    let mut unpacked = Unread { blob: Unpacked::new(what, Box::new(packed), bounds), failure: None };
    let reader = io::BufReader::with_capacity(64 << 10, &mut unpacked);
    let parsed = Toc::parse(reader, part.offset, limits);
    if let Some(failure) = unpacked.failure {
        return Err(failure);
    }
    parsed.map_err(|reason| ImportError::malformed(what, reason))
}

/// A blob for a reader of `io::Read`; keeps the error that it cannot pass on.
struct Unread<'a> {
    blob: Unpacked<'a>,
    failure: Option<ImportError>,
}

impl Read for Unread<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.blob.read(buffer).map_err(|error| {
            self.failure = Some(error);
            io::ErrorKind::InvalidData.into()
        })
    }
}
