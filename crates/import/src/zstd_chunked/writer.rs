//! [`Writer`]: makes a zstd:chunked blob of a tar.
//!
//! Each file begins a frame, and so does each chunk of it; what lies between, headers and padding, has frames of its own.
//! So the blob is plain zstd to everybody, and each content can be had by itself. Names and metadata stand in the table as
//! the tar has them: containers/storage compares the table with the tar's headers.
//!
//! Memory: what one call makes, 256 KiB of an open frame, and the table and the tar-split, packed: some 100 bytes an entry. The output depends on
//! the tar alone.

mod chunker;
mod frames;
mod listing;
mod tar_split;

use super::{Annotations, Footer, Part, SKIPPABLE_HEADER, SKIPPABLE_MAGIC};
use crate::{
    Digest, DigestAlgorithm, DigestHasher, Limits,
    error::{ImportError, Result},
    tar::{Item, Kind, Reader, Strictness},
};
use chunker::{Chunker, Cut};
use frames::Frames;
use listing::{DoneChunk, Listing};
use tar_split::TarSplitWriter;

/// Takes a tar in pieces of any size, gives the blob in pieces.
///
/// ```
/// use sealstone_import::zstd_chunked::Writer;
/// # let mut tar = tar::Builder::new(Vec::new());
/// # let mut header = tar::Header::new_ustar();
/// # header.set_size(5);
/// # tar.append_data(&mut header, "etc/motd", &b"hello"[..]).unwrap();
/// # let tar = tar.into_inner().unwrap();
///
/// let mut blob = Vec::new();
/// let mut writer = Writer::new()?;
/// for piece in tar.chunks(300) {
///     writer.write(piece, &mut blob)?;
/// }
/// let annotations = writer.finish(&mut blob)?;
/// assert_eq!(zstd::decode_all(blob.as_slice()).unwrap(), tar);
/// // The layer's descriptor has to carry these:
/// assert_eq!(annotations.list().len(), 3);
/// # Ok::<(), sealstone_import::ImportError>(())
/// ```
pub struct Writer {
    reader: Reader,
    frames: Frames,
    listing: Listing,
    tar_split: TarSplitWriter,
    open: Option<Open>,
}

/// The file whose body comes in.
struct Open {
    chunker: Chunker,
    content: DigestHasher,
    chunk: DigestHasher,
    /// Bytes of the chunk so far.
    chunk_bytes: u64,
    is_zeros: bool,
    /// Where the chunk's first frame begins.
    chunk_offset: u64,
    done: Vec<DoneChunk>,
}

fn sha256() -> DigestHasher {
    DigestHasher::new(DigestAlgorithm::Sha256)
}

impl Writer {
    /// A writer at the start of a tar. How hard it packs is libzstd's default.
    ///
    /// # Errors
    /// When libzstd has no memory.
    pub fn new() -> Result<Self> {
        Ok(Self {
            reader: Reader::new(Limits::default(), Strictness::Lenient).with_spelling(),
            frames: Frames::new()?,
            listing: Listing::new()?,
            tar_split: TarSplitWriter::new()?,
            open: None,
        })
    }

    /// Takes the next piece of the tar, and appends what there is of the blob to `blob`.
    ///
    /// # Errors
    /// [`ImportError::Refused`] when it is no tar that can be read, [`ImportError::Unsupported`] when it has a sparse
    /// file, for which the format has no words.
    pub fn write(&mut self, tar: &[u8], blob: &mut Vec<u8>) -> Result<()> {
        let mut input = tar;
        loop {
            let step = self.reader.next(&mut input).map_err(refused)?;
            self.tar_split.raw(step.raw)?;
            self.frames.write(step.raw, blob)?;
            match step.item {
                Item::NeedInput => return Ok(()),
                Item::Entry => self.begin(blob)?,
                Item::Body { bytes, is_last } => {
                    self.body(bytes, blob)?;
                    if is_last {
                        self.end(blob)?;
                    }
                }
            }
        }
    }

    /// The tar has ended: appends the rest of the blob, and says what its descriptor has to carry.
    ///
    /// # Errors
    /// As [`Writer::write`], when the tar ends too early.
    pub fn finish(self, blob: &mut Vec<u8>) -> Result<Annotations> {
        let Self { reader, mut frames, listing, tar_split, .. } = self;
        reader.finish().map_err(refused)?;
        let end = frames.end(blob)?;
        let (tar_split, tar_split_bytes) = tar_split.finish()?;
        let digest = Digest::of(DigestAlgorithm::Sha256, &tar_split);
        let (toc, toc_bytes) = listing.finish(&digest)?;
        let part = |start: u64, packed: &[u8], unpacked| Part {
            offset: start + SKIPPABLE_HEADER,
            packed: packed.len() as u64,
            unpacked,
        };
        let toc_part = part(end, &toc, toc_bytes);
        let tar_split_part = part(toc_part.offset + toc_part.packed, &tar_split, tar_split_bytes);
        skippable(&toc, blob)?;
        skippable(&tar_split, blob)?;
        blob.extend_from_slice(&Footer { toc: toc_part, tar_split: tar_split_part }.encode());
        let digest = Digest::of(DigestAlgorithm::Sha256, &toc);
        Ok(Annotations::new(digest, toc_part, tar_split_part))
    }

    fn begin(&mut self, blob: &mut Vec<u8>) -> Result<()> {
        let entry = self.reader.entry();
        if entry.sparse().is_some() {
            let path = String::from_utf8_lossy(entry.path()).into_owned();
            let reason = format!("{path:?} is a sparse file; it can be packed as plain zstd");
            return Err(ImportError::unsupported("this layer as zstd:chunked", reason));
        }
        if entry.kind() != Kind::File || entry.size() == 0 {
            self.tar_split.file(entry.spelling(), 0, 0)?;
            return self.listing.add(entry, None);
        }
        // Headers have frames of their own: whoever wants the file alone needs none of them.
        let chunk_offset = self.frames.end(blob)?;
        self.tar_split.begin();
        self.open = Some(Open {
            chunker: Chunker::new(),
            content: sha256(),
            chunk: sha256(),
            chunk_bytes: 0,
            is_zeros: false,
            chunk_offset,
            done: Vec::new(),
        });
        Ok(())
    }

    fn body(&mut self, bytes: &[u8], blob: &mut Vec<u8>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        self.tar_split.body(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let cut = open.chunker.next(rest);
            let (now, later) = rest.split_at_checked(cut.taken()).unwrap_or((rest, &[]));
            rest = later;
            open.apply(&cut, now, &mut self.frames, blob)?;
        }
        Ok(())
    }

    fn end(&mut self, blob: &mut Vec<u8>) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let rest = open.chunker.finish();
        open.apply(&rest, &[], &mut self.frames, blob)?;
        open.close_chunk(&mut self.frames, blob)?;
        let entry = self.reader.entry();
        self.tar_split.end(entry.spelling(), entry.size())?;
        let end = self.frames.offset();
        self.listing.add(entry, Some((&open.content.finish(), &open.done, end)))
    }
}

impl Open {
    /// Does what the chunker says: zeros that waited, then bytes; with an end of a chunk before, between or after.
    fn apply(&mut self, cut: &Cut, bytes: &[u8], frames: &mut Frames, blob: &mut Vec<u8>) -> Result<()> {
        if cut.zeros > 0 {
            if cut.is_hole {
                self.close_chunk(frames, blob)?;
                self.is_zeros = true;
            }
            self.zeros(cut.zeros, frames, blob)?;
            if cut.is_hole || cut.ends_after_zeros {
                self.close_chunk(frames, blob)?;
            }
        }
        // Zeros at the end of what was taken wait with the chunker.
        let data = bytes.get(cut.data.clone()).unwrap_or_default();
        self.push(data, frames, blob)?;
        if cut.ends_after_data { self.close_chunk(frames, blob) } else { Ok(()) }
    }

    fn zeros(&mut self, count: u64, frames: &mut Frames, blob: &mut Vec<u8>) -> Result<()> {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        let mut left = count;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.push(ZEROS.get(..now).unwrap_or_default(), frames, blob)?;
            left -= now as u64;
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], frames: &mut Frames, blob: &mut Vec<u8>) -> Result<()> {
        self.content.update(bytes);
        self.chunk.update(bytes);
        self.chunk_bytes += bytes.len() as u64;
        frames.write(bytes, blob)
    }

    fn close_chunk(&mut self, frames: &mut Frames, blob: &mut Vec<u8>) -> Result<()> {
        if self.chunk_bytes == 0 {
            return Ok(());
        }
        self.done.push(DoneChunk {
            offset: self.chunk_offset,
            size: self.chunk_bytes,
            digest: std::mem::replace(&mut self.chunk, sha256()).finish(),
            is_zeros: std::mem::take(&mut self.is_zeros),
        });
        self.chunk_bytes = 0;
        self.chunk_offset = frames.end(blob)?;
        Ok(())
    }
}

/// Appends a skippable frame (RFC 8878 §3.1.2).
fn skippable(payload: &[u8], blob: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| ImportError::TooBig {
        what: "bytes of a layer's table of contents, packed,".to_owned(),
        limit: u64::from(u32::MAX),
    })?;
    blob.extend_from_slice(&SKIPPABLE_MAGIC);
    blob.extend_from_slice(&length.to_le_bytes());
    blob.extend_from_slice(payload);
    Ok(())
}

fn refused(source: crate::tar::Refusal) -> ImportError {
    ImportError::Refused { layer: "the layer to be packed".to_owned(), source }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("tar_bytes", &self.reader.offset()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
