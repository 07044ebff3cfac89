//! The last stage: looks objects up, and writes those that are new. Shared by all layers.
//!
//! A job is a chunk and the bodies in it, never a single small file, so handing over costs little. Writers wait for
//! nobody, and free the chunks that the other stages wait for.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_channel::Receiver;
use sealstone_store::{ContentDigest, ContentHasher, ObjectId, Stored, Transaction};

use super::{
    body::{Piece, Spill},
    buffer::Buffer,
    halt::Halt,
};
use crate::{error::Result, report::LayerReport};

/// Something to look up, and to write if it is new.
pub(super) struct Job<'tx> {
    pub(super) work: Work<'tx>,
    pub(super) tally: Arc<Tally>,
}

pub(super) enum Work<'tx> {
    /// Bodies that lie in one chunk.
    Chunk { chunk: Arc<Buffer>, bodies: Vec<(ObjectId, Range<usize>)> },
    /// A body in several chunks.
    Pieces { id: ObjectId, pieces: Vec<Piece> },
    /// Parts of a big body.
    Spill(Arc<Spill<'tx>>),
}

/// What was new and what was there, of one layer.
#[derive(Default)]
pub(super) struct Tally {
    /// Jobs that were sent and are not done; those that are dropped undone stay.
    waiting: AtomicU64,
    new_objects: AtomicU64,
    new_bytes: AtomicU64,
    shared_objects: AtomicU64,
    shared_bytes: AtomicU64,
    fetched_objects: AtomicU64,
    fetched_bytes: AtomicU64,
    /// The files' contents go into the index by SHA-256.
    is_indexed: bool,
}

impl Tally {
    /// A job is on its way to the writers.
    pub(super) fn send(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the writers have done all that was sent.
    pub(super) fn is_written(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    pub(super) fn new(is_indexed: bool) -> Self {
        Self { is_indexed, ..Self::default() }
    }

    pub(super) const fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// Objects that were new when they were fetched, and count as shared when they are found again.
    pub(super) fn count_fetched(&self, objects: u64, bytes: u64) {
        self.fetched_objects.fetch_add(objects, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count(&self, stored: Stored, size: u64) {
        let (objects, bytes) = if stored.is_new {
            (&self.new_objects, &self.new_bytes)
        } else {
            (&self.shared_objects, &self.shared_bytes)
        };
        objects.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Puts the sums into the report; right once the writers are done.
    pub(super) fn report(&self, report: &mut LayerReport) {
        let [new_objects, new_bytes, shared_objects, shared_bytes, fetched_objects, fetched_bytes] = [
            &self.new_objects,
            &self.new_bytes,
            &self.shared_objects,
            &self.shared_bytes,
            &self.fetched_objects,
            &self.fetched_bytes,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        report.new_objects = new_objects + fetched_objects;
        report.new_bytes = new_bytes + fetched_bytes;
        report.shared_objects = shared_objects.saturating_sub(fetched_objects);
        report.shared_bytes = shared_bytes.saturating_sub(fetched_bytes);
    }
}

/// Works until nobody can send jobs any more. After a failure, here or elsewhere, jobs are dropped undone.
pub(super) fn write_all(transaction: &Transaction, jobs: &Receiver<Job<'_>>, halt: &Halt<'_>) {
    for job in jobs {
        if halt.check().is_err() {
            continue;
        }
        match write(transaction, &job) {
            Ok(()) => _ = job.tally.waiting.fetch_sub(1, Ordering::Release),
            Err(error) => halt.fail(error),
        }
    }
}

fn write(transaction: &Transaction, job: &Job<'_>) -> Result<()> {
    match &job.work {
        Work::Chunk { chunk, bodies } => {
            for (id, range) in bodies {
                let body = chunk.get(range.clone()).unwrap_or_default();
                job.tally.count(transaction.put_known(*id, body)?, body.len() as u64);
                if job.tally.is_indexed() {
                    transaction.index_content(ContentDigest::of(body), *id, body.len() as u64)?;
                }
            }
        }
        Work::Pieces { id, pieces } => {
            let parts: Vec<&[u8]> = pieces.iter().map(Piece::bytes).collect();
            let size = parts.iter().map(|part| part.len() as u64).sum();
            job.tally.count(transaction.put_known_parts(*id, &parts)?, size);
            if job.tally.is_indexed() {
                let mut hasher = ContentHasher::default();
                for part in &parts {
                    hasher.update(part);
                }
                transaction.index_content(hasher.finish(), *id, size)?;
            }
        }
        Work::Spill(spill) => {
            if let Some((stored, size, content)) = spill.pump()? {
                job.tally.count(stored, size);
                if let Some(content) = content {
                    transaction.index_content(content, stored.id, size)?;
                }
            }
        }
    }
    Ok(())
}
