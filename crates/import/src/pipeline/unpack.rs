//! The first stage of a layer: read its blob, leave it to be hashed, decompress it into chunks.
//!
//! The blob's size and digest ([`BlobHash`]) are computed over every byte, off the decompressor's thread: decompressing is
//! the longest part of a layer's way, and nothing else should lie on it. When the decompressor or a later stage gives up, the rest is
//! still read and hashed, so that a damaged blob is reported as one, by digest, and not by what its damage happens to
//! break.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use sealstone_store::control::Task;

use super::{
    blob_hash::BlobHash,
    buffer::{Buffer, Pool},
    halt::Halt,
    meter::Meter,
};
use crate::{
    Digest, Limits,
    decompress::{Compression, DecodeError, Decoder, WindowGate},
    error::{ImportError, Result},
    oci::Descriptor,
    source::{Blob, fill},
};

/// How much of a blob is read at a time, in bytes.
const READ: usize = 256 << 10;

/// How many such pieces may wait for the decompressor.
const WAITING: usize = 4;

/// How many emptied ones may wait for the reader.
pub(super) const SPARE: usize = WAITING + 2;

/// What all layers of an import share with their first stages.
pub(super) struct Unpacker<'a> {
    pub(super) pool: &'a Pool,
    pub(super) gate: &'a WindowGate,
    pub(super) limits: &'a Limits,
    pub(super) halt: &'a Halt<'a>,
    pub(super) meter: &'a Meter,
}

/// What the two stages of one layer tell each other besides chunks.
#[derive(Default)]
pub(super) struct Signals {
    /// The later stage has failed: decompress no more.
    pub(super) failed: AtomicBool,
    /// The blob is the tar itself; set before the first chunk is sent.
    pub(super) is_plain: AtomicBool,
}

/// What the first stage reads.
pub(super) struct Input<'a> {
    pub(super) blob: &'a mut dyn Blob,
    /// What its bytes have to be.
    pub(super) descriptor: &'a Descriptor,
    /// Its name in errors.
    pub(super) name: &'a str,
    /// The bytes are a tar whatever they look like.
    pub(super) is_plain: bool,
}

/// A blob that was read to its end and is what its descriptor says.
pub(super) struct Unpacked {
    pub(super) compression: Compression,
    pub(super) digest: Digest,
}

impl Unpacker<'_> {
    /// Reads the blob to its end. The chunks of its tar go to `chunks`, whose other end may hang up.
    ///
    /// # Errors
    /// A wrong size, a wrong digest, then whatever kept it from being decompressed.
    pub(super) fn run(
        &self,
        input: Input<'_>,
        signals: &Signals,
        chunks: Sender<Buffer>,
        mut task: Task,
        (hash, spare): (&BlobHash, Receiver<Vec<u8>>),
    ) -> Result<Unpacked> {
        let Input { blob, descriptor, name, is_plain } = input;
        let outlet = Outlet {
            decoder: if is_plain {
                Decoder::plain(self.limits.into())
            } else {
                Decoder::new(self.limits.into(), self.gate.clone())
            },
            pool: self.pool,
            chunk: None,
            chunks: Some(chunks),
            signals,
        };
        let (full, arriving) = bounded(WAITING);
        let (read, decoded) = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                self.meter.read.on(|| self.read(blob, descriptor, name, full, (hash, &spare), &mut task))
            });
            let decoded = self.meter.decompress.on(|| outlet.drain(arriving, hash));
            (reading.join(), decoded)
        });
        let digest = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let compression = decoded.map_err(|source| ImportError::Decode { what: name.to_owned(), source })?;
        task.finish();
        Ok(Unpacked { compression, digest })
    }

    /// Reads the blob to its end, whoever still wants its bytes.
    fn read(
        &self,
        blob: &mut dyn Blob,
        descriptor: &Descriptor,
        name: &str,
        full: Sender<Arc<Vec<u8>>>,
        (hash, spare): (&BlobHash, &Receiver<Vec<u8>>),
        task: &mut Task,
    ) -> Result<Digest> {
        let what = || name.to_owned();
        let mut full = Some(full);
        let mut size: u64 = 0;
        loop {
            self.halt.check()?;
            let mut buffer = spare.try_recv().unwrap_or_default();
            buffer.resize(READ, 0);
            let count = fill(blob, &mut buffer)?;
            buffer.truncate(count);
            size += count as u64;
            if size > descriptor.size() || count == 0 {
                break;
            }
            let piece = Arc::new(buffer);
            hash.leave(Arc::clone(&piece));
            task.advance(count as u64);
            if full.as_ref().is_some_and(|full| full.send(Arc::clone(&piece)).is_err()) {
                full = None;
            }
            hash.give_back(piece);
        }
        if size != descriptor.size() {
            return Err(ImportError::Size { what: what(), expected: descriptor.size(), actual: size });
        }
        let digest = hash.finish();
        if digest != *descriptor.digest() {
            return Err(ImportError::digest(what(), descriptor.digest(), &digest));
        }
        Ok(digest)
    }
}

/// Where decompressed bytes go: into chunks, and those to the next stage.
struct Outlet<'a> {
    decoder: Decoder,
    pool: &'a Pool,
    /// The chunk being filled.
    chunk: Option<Buffer>,
    /// None when nobody wants more of them.
    chunks: Option<Sender<Buffer>>,
    signals: &'a Signals,
}

impl Outlet<'_> {
    /// Decompresses all that arrives, until its end or until nobody wants more. Hanging up tells the reader.
    fn drain(
        mut self,
        arriving: Receiver<Arc<Vec<u8>>>,
        hash: &BlobHash,
    ) -> Result<Compression, DecodeError> {
        for bytes in arriving {
            self.decode(&bytes)?;
            if self.chunks.is_none() {
                break;
            }
            hash.give_back(bytes);
        }
        self.finish()
    }

    fn decode(&mut self, mut input: &[u8]) -> Result<(), DecodeError> {
        while self.chunks.is_some() && !input.is_empty() {
            let consumed = self.step(input)?.consumed;
            input = input.get(consumed..).unwrap_or_default();
        }
        Ok(())
    }

    fn step(&mut self, input: &[u8]) -> Result<crate::decompress::Step, DecodeError> {
        let chunk = self.chunk.get_or_insert_with(|| self.pool.take());
        let step = self.decoder.step(input, chunk.room())?;
        chunk.fill(step.produced);
        if chunk.is_full() {
            self.send();
        }
        Ok(step)
    }

    fn send(&mut self) {
        self.signals.is_plain.store(self.decoder.compression() == Some(Compression::None), Ordering::Release);
        let Some(chunk) = self.chunk.take().filter(|chunk| !chunk.is_empty()) else { return };
        let hung_up = self.chunks.as_ref().is_some_and(|chunks| chunks.send(chunk).is_err());
        if hung_up || self.signals.failed.load(Ordering::Relaxed) {
            self.chunks = None;
        }
    }

    /// The blob has ended: what the decoder still holds comes out.
    fn finish(mut self) -> Result<Compression, DecodeError> {
        while self.chunks.is_some() && self.step(&[])?.produced > 0 {}
        if self.chunks.is_some() {
            self.decoder.finish()?;
        }
        self.send();
        Ok(self.decoder.compression().unwrap_or(Compression::None))
    }
}
