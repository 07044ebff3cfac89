//! Fetching the missing contents of a layer: a few requests side by side, each file checked and stored at once.
//!
//! A file counts when its SHA-256 is what the table says; it is an object then, under no name, and in the index of
//! contents. Memory: a buffer, a decoder and at most one small file for each request that runs.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sealstone_store::{ContentDigest, ObjectId, ObjectWriter, Stored, Transaction, tree::INLINE_MAX};

use super::{
    Chunk, Stop, Toc, TocFile,
    plan::{FetchRange, PullPlan},
};
use crate::{
    Digest, DigestAlgorithm, DigestHasher, Limits,
    decompress::{Decoder, WindowGate},
    error::{ImportError, Result},
    oci::Descriptor,
    source::{Blob, Source, fill},
};

/// How much is read at a time, and how much is unpacked, in bytes.
const STEP: usize = 128 << 10;

/// Up to which size a file is held in memory before it is stored, in bytes.
const HELD: u64 = 256 << 10;

/// A content that was fetched.
pub(super) enum Fetched {
    /// So small that layers keep it themselves: no object.
    Small(Vec<u8>),
    /// An object, its size, and whether it was new.
    Object { stored: Stored, size: u64 },
}

/// Where contents come from, and where they go.
pub(super) struct Fetcher<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) descriptor: &'a Descriptor,
    pub(super) toc: &'a Toc,
    pub(super) transaction: &'a Transaction,
    pub(super) limits: &'a Limits,
    pub(super) gate: &'a WindowGate,
    /// Asked between pieces of work.
    pub(super) check: &'a (dyn Fn() -> Result<()> + Sync),
    /// Told how many bytes came.
    pub(super) count: &'a (dyn Fn(u64) + Sync),
}

impl Fetcher<'_> {
    /// Fetches all that the plan wants, with so many requests at a time; the answers are in the order of
    /// [`PullPlan::wanted`].
    pub(super) fn run(&self, plan: &PullPlan, requests: NonZeroUsize) -> Result<Vec<Fetched>, Stop> {
        let next = AtomicUsize::new(0);
        let stop: Mutex<Option<Stop>> = Mutex::default();
        let done: Mutex<Vec<(usize, Vec<Fetched>)>> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..requests.get().min(plan.ranges.len()) {
                scope.spawn(|| {
                    while let Some(range) = plan.ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.range(plan, range) {
                            Ok(files) => lock(&done).push((range.wanted.start, files)),
                            Err(error) => {
                                lock(&stop).get_or_insert(error);
                                // Nothing that is left is begun.
                                next.store(plan.ranges.len(), Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        if let Some(stop) = stop.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(stop);
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(first, _)| *first);
        Ok(done.into_iter().flat_map(|(_, files)| files).collect())
    }

    fn range(&self, plan: &PullPlan, range: &FetchRange) -> Result<Vec<Fetched>, Stop> {
        let len = range.bytes.end - range.bytes.start;
        let blob = self.source.open_range(self.descriptor, range.bytes.start, len)?;
        let blob = blob.ok_or_else(|| Stop::unfit("the source stopped giving parts of blobs"))?;
        let (at, count) = (range.bytes.start, self.count);
        let mut part = Part { blob, at, buffer: vec![0; STEP], room: vec![0; STEP], count };
        let mut decoder = Decoder::new(self.limits.into(), self.gate.clone());
        let mut files = Vec::with_capacity(range.wanted.len());
        for file in plan.wanted.get(range.wanted.clone()).unwrap_or_default() {
            files.push(self.file(file, &mut part, &mut decoder)?);
        }
        // The end lets the connection go.
        part.blob.read(&mut [0])?;
        Ok(files)
    }

    /// Fetches one file and stores it.
    fn file(&self, file: &TocFile, part: &mut Part<'_>, decoder: &mut Decoder) -> Result<Fetched> {
        let mut body = Body::new(file, self.transaction)?;
        for chunk in self.toc.chunks(file) {
            (self.check)()?;
            if chunk.is_zeros {
                body.zeros(chunk.size, self.check)?;
            } else {
                part.skip_to(chunk.offset)?;
                self.chunk(chunk, part, decoder, &mut body)?;
            }
        }
        let name = || {
            let name = String::from_utf8_lossy(self.toc.name(file)).into_owned();
            format!("{name:?} in a part of layer {}", self.descriptor.digest())
        };
        body.finish(file, self.transaction, name)
    }

    /// Unpacks one chunk: whole frames, which make its bytes and no more.
    fn chunk(
        &self,
        chunk: &Chunk,
        part: &mut Part<'_>,
        decoder: &mut Decoder,
        body: &mut Body<'_>,
    ) -> Result<()> {
        let what = || format!("a part of layer {}", self.descriptor.digest());
        let wrong_size = |actual| ImportError::Size { what: what(), expected: chunk.size, actual };
        let decode = |source| ImportError::Decode { what: what(), source };
        let mut room = std::mem::take(&mut part.room);
        let mut made: u64 = 0;
        while part.at < chunk.end {
            (self.check)()?;
            let packed = part.read(chunk.end)?;
            let mut used = 0;
            loop {
                let step = decoder.step(packed.get(used..).unwrap_or_default(), &mut room).map_err(decode)?;
                used += step.consumed;
                made += step.produced as u64;
                if made > chunk.size {
                    return Err(wrong_size(made));
                }
                body.push(room.get(..step.produced).unwrap_or_default())?;
                if step.consumed == 0 && step.produced == 0 {
                    break;
                }
            }
        }
        part.room = room;
        decoder.finish().map_err(decode)?;
        if made == chunk.size { Ok(()) } else { Err(wrong_size(made)) }
    }
}

/// A part of a blob, read from front to back.
struct Part<'a> {
    blob: Box<dyn Blob + 'a>,
    /// Where the next byte lies in the blob.
    at: u64,
    buffer: Vec<u8>,
    /// For what is unpacked of it.
    room: Vec<u8>,
    count: &'a (dyn Fn(u64) + Sync),
}

impl Part<'_> {
    /// The next bytes, at most up to `end`.
    fn read(&mut self, end: u64) -> Result<&[u8]> {
        let wanted = usize::try_from(end.saturating_sub(self.at)).unwrap_or(STEP).min(STEP);
        let count = fill(&mut *self.blob, self.buffer.get_mut(..wanted).unwrap_or_default())?;
        (self.count)(count as u64);
        self.at += count as u64;
        if count < wanted {
            let what = "part of a blob".to_owned();
            return Err(ImportError::Size { what, expected: end, actual: self.at });
        }
        Ok(self.buffer.get(..count).unwrap_or_default())
    }

    fn skip_to(&mut self, offset: u64) -> Result<()> {
        while self.at < offset {
            self.read(offset)?;
        }
        Ok(())
    }
}

/// A file on its way in.
struct Body<'tx> {
    hasher: DigestHasher,
    to: Target<'tx>,
}

enum Target<'tx> {
    Held(Vec<u8>),
    Object(ObjectWriter<'tx>),
}

impl<'tx> Body<'tx> {
    fn new(file: &TocFile, transaction: &'tx Transaction) -> Result<Self> {
        let to = match usize::try_from(file.size) {
            Ok(size) if file.size <= HELD => Target::Held(Vec::with_capacity(size)),
            _ => Target::Object(transaction.object_writer(file.size)?),
        };
        Ok(Self { hasher: DigestHasher::new(DigestAlgorithm::Sha256), to })
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        match &mut self.to {
            Target::Held(held) => held.extend_from_slice(bytes),
            Target::Object(writer) => writer.write(bytes)?,
        }
        Ok(())
    }

    /// Zeros that were not fetched: a hole on the disk, and hashed piece by piece.
    fn zeros(&mut self, len: u64, check: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut left = len;
        while left > 0 {
            check()?;
            let now = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.hasher.update(ZEROS.get(..now).unwrap_or_default());
            left -= now as u64;
        }
        match &mut self.to {
            // A held file is small: the table's chunks make its size.
            Target::Held(held) => held.resize(held.len() + usize::try_from(len).unwrap_or_default(), 0),
            Target::Object(writer) => writer.write_zeros(len)?,
        }
        Ok(())
    }

    fn finish(self, file: &TocFile, transaction: &Transaction, name: impl Fn() -> String) -> Result<Fetched> {
        let actual = self.hasher.finish();
        let expected = Digest::Sha256(file.digest);
        if actual != expected {
            return Err(ImportError::digest(name(), &expected, &actual));
        }
        let stored = match self.to {
            Target::Held(held) if held.len() <= INLINE_MAX => return Ok(Fetched::Small(held)),
            Target::Held(held) => transaction.put(&held)?,
            Target::Object(writer) => writer.finish()?,
        };
        index(transaction, file, stored.id)?;
        Ok(Fetched::Object { stored, size: file.size })
    }
}

/// The bytes were hashed just now.
fn index(transaction: &Transaction, file: &TocFile, object: ObjectId) -> Result<()> {
    Ok(transaction.index_content(ContentDigest::new(file.digest), object, file.size)?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
