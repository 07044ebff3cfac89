//! The second stage of a layer: hash the tar, read it, hash the files, and put the layer's record together.
//!
//! A chunk is handled in two steps. First it is read: what is header or padding, which entries it has, where their
//! bodies lie. Then all bodies in it are hashed side by side, and the splitstream and the tree get, in the tar's order,
//! what they keep of it. The bodies then go to the writers, one job a chunk. Nothing here waits for the disk.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crossbeam_channel::{Receiver, Sender};
use sealstone_store::{ObjectId, Transaction, splitstream::SplitStreamWriter, tree::INLINE_MAX, verity};

use super::{
    blob_hash::BlobHash,
    body::{Closed, OpenBody, Piece, Taken},
    buffer::Buffer,
    halt::Halt,
    sparse::{Expanded, Expander},
    unpack::Signals,
    writer::{Job, Tally, Work},
};
use crate::{
    Digest, DigestAlgorithm, DigestHasher, Limits,
    error::{ImportError, Result},
    layer_tree::{FileContent, FileSlot, LayerTree, LayerTreeBuilder},
    tar::{Item, Reader, Refusal, Strictness, Warnings},
};

/// What the second stages of all layers share.
pub(super) struct Assembly<'a, 'tx> {
    pub(super) transaction: &'tx Transaction,
    pub(super) jobs: Sender<Job<'tx>>,
    pub(super) halt: &'a Halt<'a>,
    pub(super) limits: &'a Limits,
    pub(super) strictness: Strictness,
    /// How many chunks a body may keep before it is spilled.
    pub(super) hold: usize,
    /// How many more warnings the image may keep.
    pub(super) warnings_left: &'a AtomicUsize,
    /// How many more bytes the trees of the image's layers may take.
    pub(super) tree_bytes_left: &'a AtomicU64,
}

/// What the second stage is told about a layer.
pub(super) struct Input<'a> {
    /// Its name in errors.
    pub(super) name: &'a str,
    /// Of its diff_id.
    pub(super) algorithm: DigestAlgorithm,
    /// A plain blob's digest serves as the tar's.
    pub(super) same_hash: bool,
    pub(super) tally: Arc<Tally>,
    /// Pieces of the blob, to be hashed along.
    pub(super) blob: &'a BlobHash,
}

/// A layer that was read to its end, and that nobody has compared with its digest yet.
pub(super) struct Assembled<'tx> {
    /// The tar's digest; `None` when the blob was the tar, and was hashed as that.
    pub(super) digest: Option<Digest>,
    pub(super) stream: SplitStreamWriter<'tx>,
    pub(super) tree: LayerTree,
    pub(super) tar_bytes: u64,
    pub(super) entries: u64,
    pub(super) findings: Warnings,
}

impl<'tx> Assembly<'_, 'tx> {
    /// Reads a tar to its end.
    ///
    /// # Errors
    /// The tar's refusals, and what the store says. The chunks' sender finds its other end hung up then.
    pub(super) fn run(
        &self,
        input: Input<'_>,
        chunks: Receiver<Buffer>,
        signals: &Signals,
    ) -> Result<Assembled<'tx>> {
        let Input { name, algorithm, same_hash, tally, blob } = input;
        let mut layer = Layer::new(self, name, tally)?;
        let mut hasher = None;
        let mut is_first = true;
        for chunk in chunks {
            self.halt.check()?;
            if std::mem::take(&mut is_first) && !(same_hash && signals.is_plain.load(Ordering::Acquire)) {
                hasher = Some(DigestHasher::new(algorithm));
            }
            if let Some(hasher) = &mut hasher {
                blob.hash_along(hasher, &chunk);
            }
            layer.take(&Arc::new(chunk)).inspect_err(|_| signals.failed.store(true, Ordering::Relaxed))?;
        }
        // An empty tar has no chunk to tell by.
        let digest =
            if is_first { Some(Digest::of(algorithm, &[])) } else { hasher.map(DigestHasher::finish) };
        layer.finish(digest)
    }

    /// The trees of all layers wait in memory for each other: together they have a bound too.
    fn count_tree(&self, tree: &LayerTree) -> Result<()> {
        let size = tree.encoded_len() as u64;
        let left = |left: u64| left.checked_sub(size);
        let taken = self.tree_bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        taken.map(drop).map_err(|_| trees_too_big(self.limits))
    }

    /// A tree that comes to nothing: another try may take its place.
    pub(super) fn uncount_tree(&self, tree: &LayerTree) {
        self.tree_bytes_left.fetch_add(tree.encoded_len() as u64, Ordering::Relaxed);
    }

    fn send(&self, work: Work<'tx>, tally: &Arc<Tally>) -> Result<()> {
        // The writers hang up only when they are gone, and somebody told why.
        tally.send();
        self.jobs.send(Job { work, tally: Arc::clone(tally) }).map_err(|_| ImportError::Cancelled)
    }
}

/// What the stream keeps of a chunk, in the tar's order.
enum Op {
    /// Header or padding, or a body that stays in the stream.
    Raw(Range<usize>),
    /// Between two entries: the stream may be cut here.
    Boundary,
    /// The next body of those that lie in the chunk.
    InChunk,
    /// A body that ended in the chunk: its object, and its size in bytes.
    Object(ObjectId, u64),
    /// An object that the stream refers to without having it in its place.
    Also(ObjectId),
}

/// A body that lies in a chunk.
struct Body {
    range: Range<usize>,
    /// None when the tree has no use for it: a whiteout with a body.
    slot: Option<FileSlot>,
}

/// A body whose end has not come yet.
struct Open<'tx> {
    slot: Option<FileSlot>,
    size: u64,
    kind: OpenKind<'tx>,
    sparse: Option<Expander<'tx>>,
}

enum OpenKind<'tx> {
    Small(Vec<u8>),
    Big(OpenBody<'tx>),
}

struct Layer<'a, 'tx> {
    shared: &'a Assembly<'a, 'tx>,
    name: &'a str,
    tally: Arc<Tally>,
    reader: Reader,
    stream: SplitStreamWriter<'tx>,
    tree: LayerTreeBuilder,
    open: Option<Open<'tx>>,
    /// Of the chunk at hand; kept for their memory.
    ops: Vec<Op>,
    bodies: Vec<Body>,
}

impl<'a, 'tx> Layer<'a, 'tx> {
    fn new(shared: &'a Assembly<'a, 'tx>, name: &'a str, tally: Arc<Tally>) -> Result<Self> {
        let algorithm = shared.transaction.repository().algorithm();
        Ok(Self {
            shared,
            name,
            tally,
            reader: Reader::new(shared.limits.clone(), shared.strictness),
            stream: SplitStreamWriter::new(shared.transaction, crate::streams::LAYER)?,
            tree: LayerTreeBuilder::new(algorithm, shared.limits.clone(), shared.strictness),
            open: None,
            ops: Vec::new(),
            bodies: Vec::new(),
        })
    }

    fn take(&mut self, chunk: &Arc<Buffer>) -> Result<()> {
        self.read(chunk)?;
        let ids = self.hash(chunk);
        self.record(chunk, &ids)?;
        if !ids.is_empty() {
            let bodies = ids.into_iter().zip(self.bodies.drain(..).map(|body| body.range)).collect();
            self.shared.send(Work::Chunk { chunk: Arc::clone(chunk), bodies }, &self.tally)?;
        }
        Ok(())
    }

    /// Finds what the chunk has.
    fn read(&mut self, chunk: &Arc<Buffer>) -> Result<()> {
        let mut input: &[u8] = chunk;
        let mut may_cut = true;
        loop {
            let start = chunk.len() - input.len();
            let step = self.reader.next(&mut input).map_err(refused(self.name))?;
            let at = start + step.raw.len();
            // One place a chunk is enough to bound what the stream holds back. It need not be an entry: headers without one,
            // and what follows the end, can go on for gigabytes.
            let cut = start + step.cut.filter(|_| may_cut).unwrap_or(0);
            self.raw(start..cut);
            if may_cut && step.cut.is_some() {
                self.ops.push(Op::Boundary);
                may_cut = false;
            }
            self.raw(cut..at);
            match step.item {
                Item::NeedInput => return Ok(()),
                Item::Entry => self.begin(at, &mut input)?,
                Item::Body { bytes, is_last } => {
                    self.part(chunk, at..at + bytes.len())?;
                    if is_last {
                        self.end()?;
                    }
                }
            }
        }
    }

    fn raw(&mut self, range: Range<usize>) {
        match self.ops.last_mut() {
            _ if range.is_empty() => {}
            Some(Op::Raw(last)) if last.end == range.start => last.end = range.end,
            _ => self.ops.push(Op::Raw(range)),
        }
    }

    /// An entry has come; its body may be whole, or begin here.
    fn begin(&mut self, at: usize, input: &mut &[u8]) -> Result<()> {
        let slot = self.tree.add(self.reader.entry()).map_err(refused(self.name))?;
        let size = self.reader.entry().packed_size();
        let is_sparse = self.reader.entry().sparse().is_some();
        if !is_sparse && let Some(body) = self.reader.take_body(input) {
            let range = at..at + body.len();
            if size > INLINE_MAX as u64 {
                self.ops.push(Op::InChunk);
                self.bodies.push(Body { range, slot });
            } else {
                self.raw(range);
                self.set_content(slot, FileContent::Inline(body))?;
            }
            return Ok(());
        }
        let transaction = self.shared.transaction;
        let sparse = is_sparse.then(|| Expander::new(self.reader.entry(), transaction)).transpose()?;
        let kind = if size > INLINE_MAX as u64 {
            OpenKind::Big(OpenBody::new(size, transaction.repository().algorithm(), self.tally.is_indexed()))
        } else {
            OpenKind::Small(Vec::new())
        };
        self.open = Some(Open { slot, size, kind, sparse });
        if size == 0 { self.end() } else { Ok(()) }
    }

    /// A part of the open body.
    fn part(&mut self, chunk: &Arc<Buffer>, range: Range<usize>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let bytes = chunk.get(range.clone()).unwrap_or_default();
        if let Some(sparse) = &mut open.sparse {
            sparse.push(bytes)?;
        }
        match &mut open.kind {
            OpenKind::Small(gathered) => {
                gathered.extend_from_slice(bytes);
                self.raw(range);
            }
            OpenKind::Big(body) => {
                let piece = Piece { chunk: Arc::clone(chunk), range };
                let taken = body.push(piece, self.shared.hold, self.shared.transaction)?;
                if let Taken::Spilled(spill) = taken {
                    self.shared.send(Work::Spill(spill), &self.tally)?;
                }
            }
        }
        Ok(())
    }

    /// The open body has come to its end.
    fn end(&mut self) -> Result<()> {
        let Some(Open { slot, size, kind, sparse }) = self.open.take() else { return Ok(()) };
        let small = match kind {
            OpenKind::Small(gathered) => gathered,
            OpenKind::Big(body) => {
                let (id, closed) = body.close();
                let work = match closed {
                    Closed::Held(pieces) => Work::Pieces { id, pieces },
                    Closed::Spilled(spill) => Work::Spill(spill),
                };
                self.shared.send(work, &self.tally)?;
                self.ops.push(Op::Object(id, size));
                if sparse.is_none() {
                    return self.set_content(slot, FileContent::Object { id, size });
                }
                Vec::new()
            }
        };
        match sparse.map(|sparse| sparse.finish(&self.tally)).transpose()? {
            None => self.set_content(slot, FileContent::Inline(&small)),
            Some(Expanded::Small(file)) => self.set_content(slot, FileContent::Inline(&file)),
            Some(Expanded::Object { id, size }) => {
                self.ops.push(Op::Also(id));
                self.set_content(slot, FileContent::Object { id, size })
            }
        }
    }

    fn set_content(&mut self, slot: Option<FileSlot>, content: FileContent<'_>) -> Result<()> {
        match slot {
            Some(slot) => self.tree.set_content(slot, content).map_err(refused(self.name)),
            None => Ok(()),
        }
    }

    /// Hashes the bodies that lie in the chunk.
    fn hash(&self, chunk: &Arc<Buffer>) -> Vec<ObjectId> {
        let bodies: Vec<&[u8]> =
            self.bodies.iter().map(|body| chunk.get(body.range.clone()).unwrap_or_default()).collect();
        let mut ids = Vec::with_capacity(bodies.len());
        verity::digest_many(self.shared.transaction.repository().algorithm(), &bodies, &mut ids);
        ids
    }

    /// Gives the stream and the tree what they keep of the chunk.
    fn record(&mut self, chunk: &Arc<Buffer>, ids: &[ObjectId]) -> Result<()> {
        let mut in_chunk = self.bodies.iter().zip(ids);
        for op in self.ops.drain(..) {
            match op {
                Op::Raw(range) => self.stream.inline(chunk.get(range).unwrap_or_default()),
                Op::Boundary => self.stream.boundary()?,
                Op::Object(id, size) => self.stream.external(&id, size)?,
                Op::Also(id) => self.stream.reference(&id)?,
                Op::InChunk => {
                    let Some((body, id)) = in_chunk.next() else { continue };
                    let size = body.range.len() as u64;
                    self.stream.external(id, size)?;
                    if let Some(slot) = body.slot {
                        let content = FileContent::Object { id: *id, size };
                        self.tree.set_content(slot, content).map_err(refused(self.name))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(self, digest: Option<Digest>) -> Result<Assembled<'tx>> {
        let (tar_bytes, entries) = (self.reader.offset(), u64::from(self.reader.entries()));
        let mut findings = self.reader.finish().map_err(refused(self.name))?;
        let (tree, of_tree) = self.tree.finish().map_err(refused(self.name))?;
        findings.absorb(of_tree);
        self.shared.count_tree(&tree)?;
        let take = |left: usize| Some(left - findings.truncate(left));
        let _ = self.shared.warnings_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        Ok(Assembled { digest, stream: self.stream, tree, tar_bytes, entries, findings })
    }
}

/// The refusal of an image whose layers' trees are too big together.
pub(crate) fn trees_too_big(limits: &Limits) -> ImportError {
    ImportError::TooBig { what: "bytes of all layers' trees".to_owned(), limit: limits.image_tree_bytes }
}

/// Says which layer was refused.
fn refused(name: &str) -> impl Fn(Refusal) -> ImportError {
    move |source| ImportError::Refused { layer: name.to_owned(), source }
}
