//! A file's body that does not lie in one chunk.
//!
//! Its parts stay where they are, in the chunks, which are kept from the pool meanwhile: nothing is copied, and the
//! object is looked up before anything is written. A body that would keep too many chunks is spilled: written to its
//! object's file as it comes, under no name until its digest is known.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use sealstone_store::{
    Algorithm, ContentDigest, ContentHasher, ObjectId, ObjectWriter, Result as StoreResult, Stored,
    Transaction, verity,
};

use super::buffer::Buffer;

/// A part of a body.
pub(super) struct Piece {
    pub(super) chunk: Arc<Buffer>,
    pub(super) range: Range<usize>,
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        self.chunk.get(self.range.clone()).unwrap_or_default()
    }
}

/// A body whose end has not come yet.
pub(super) struct OpenBody<'tx> {
    size: u64,
    hasher: verity::Hasher,
    held: Vec<Piece>,
    spill: Option<Arc<Spill<'tx>>>,
    is_indexed: bool,
}

/// What is to be done with a part that was taken in.
pub(super) enum Taken<'tx> {
    /// Nothing yet.
    Held,
    /// The spill has something to write.
    Spilled(Arc<Spill<'tx>>),
}

/// A body at its end.
pub(super) enum Closed<'tx> {
    /// Still in memory.
    Held(Vec<Piece>),
    /// On its way to the disk.
    Spilled(Arc<Spill<'tx>>),
}

impl<'tx> OpenBody<'tx> {
    /// `is_indexed`: whether a spill computes the content's SHA-256 too.
    pub(super) fn new(size: u64, algorithm: Algorithm, is_indexed: bool) -> Self {
        Self { size, hasher: verity::Hasher::new(algorithm), held: Vec::new(), spill: None, is_indexed }
    }

    /// Takes the next part. At most `hold` chunks are kept before the body is spilled.
    pub(super) fn push(
        &mut self,
        piece: Piece,
        hold: usize,
        transaction: &'tx Transaction,
    ) -> StoreResult<Taken<'tx>> {
        self.hasher.update(piece.bytes());
        if let Some(spill) = &self.spill {
            spill.push(Write::Piece(piece));
            return Ok(Taken::Spilled(Arc::clone(spill)));
        }
        self.held.push(piece);
        if self.held.len() <= hold {
            return Ok(Taken::Held);
        }
        let writer = transaction.object_writer(self.size)?.without_digest();
        let content = self.is_indexed.then(ContentHasher::default);
        let writer = Mutex::new(Some(SpillWriter { writer, content }));
        let spill = Arc::new(Spill { queue: Mutex::default(), writer });
        for piece in self.held.drain(..) {
            spill.push(Write::Piece(piece));
        }
        self.spill = Some(Arc::clone(&spill));
        Ok(Taken::Spilled(spill))
    }

    /// The last part was taken.
    pub(super) fn close(self) -> (ObjectId, Closed<'tx>) {
        let id = self.hasher.finish();
        let closed = match self.spill {
            None => Closed::Held(self.held),
            Some(spill) => {
                spill.push(Write::End(id));
                Closed::Spilled(spill)
            }
        };
        (id, closed)
    }
}

/// An object that is written while its body comes in. Any writer may take the next part; they come in order.
pub(super) struct Spill<'tx> {
    queue: Mutex<VecDeque<Write>>,
    /// Held while a part is taken and written, which keeps the order.
    writer: Mutex<Option<SpillWriter<'tx>>>,
}

struct SpillWriter<'tx> {
    writer: ObjectWriter<'tx>,
    /// For a content that goes into the index.
    content: Option<ContentHasher>,
}

enum Write {
    Piece(Piece),
    End(ObjectId),
}

impl Spill<'_> {
    fn push(&self, write: Write) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(write);
    }

    /// Writes all that waits; gives the object, its size in bytes, and the content's digest if that was
    /// wanted, when its end was reached.
    pub(super) fn pump(&self) -> StoreResult<Option<(Stored, u64, Option<ContentDigest>)>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match (next, writer.as_mut()) {
                (Some(Write::Piece(piece)), Some(SpillWriter { writer, content })) => {
                    if let Some(content) = content {
                        content.update(piece.bytes());
                    }
                    writer.write(piece.bytes())?;
                }
                (Some(Write::End(id)), Some(_)) => {
                    let Some(SpillWriter { writer, content }) = writer.take() else { return Ok(None) };
                    let size = writer.size();
                    let stored = writer.finish_known(id)?;
                    return Ok(Some((stored, size, content.map(ContentHasher::finish))));
                }
                _ => return Ok(None),
            }
        }
    }
}
