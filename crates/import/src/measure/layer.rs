//! One layer being read: from pieces of its tar to its tree, each file hashed as it passes.

use std::collections::HashMap;

use sealstone_store::{Algorithm, ObjectId, tree::INLINE_MAX, verity::Hasher};

use crate::{
    ImportOptions,
    layer_tree::{FileContent, FileSlot, LayerTree, LayerTreeBuilder},
    tar::{Entry, Item, Piece, Reader, Refusal, SparseMap},
};

/// The most bytes of bodies that are kept, of all files of an image together. A file that does not fit is not kept.
const KEPT_MAX: usize = 64 << 20;

/// A layer being read.
pub(super) struct Layer<'a> {
    reader: Reader,
    tree: LayerTreeBuilder,
    algorithm: Algorithm,
    keep: &'a dyn Fn(&[u8]) -> bool,
    open: Option<Body>,
    kept: Vec<(ObjectId, Vec<u8>)>,
}

/// A file whose end has not come yet.
struct Body {
    slot: Option<FileSlot>,
    hasher: Hasher,
    size: u64,
    /// All of it, if it is small or to be kept; else its first bytes.
    bytes: Vec<u8>,
    keeps: usize,
    /// Of a sparse file, what is left of the map, the next stretch last.
    pieces: Option<Vec<Piece>>,
}

impl Body {
    fn new(entry: &Entry, slot: Option<FileSlot>, algorithm: Algorithm, is_kept: bool) -> Self {
        let pieces = entry.sparse().map(|map: &SparseMap| {
            let mut pieces: Vec<Piece> = map.pieces().collect();
            pieces.reverse();
            pieces
        });
        let keeps = if is_kept { KEPT_MAX } else { INLINE_MAX };
        let hasher = Hasher::new(algorithm);
        let mut body = Self { slot, hasher, size: 0, bytes: Vec::new(), keeps, pieces };
        body.holes();
        body
    }

    /// Takes the next bytes of the tar.
    fn take(&mut self, mut packed: &[u8]) {
        if self.pieces.is_none() {
            self.write(packed);
            return;
        }
        while let Some(Piece::Data(left)) = self.pieces.as_mut().and_then(|pieces| pieces.last_mut()) {
            let now = usize::try_from(*left).map_or(packed.len(), |left| left.min(packed.len()));
            *left -= now as u64;
            let is_used_up = *left == 0;
            let (part, rest) = packed.split_at(now);
            self.write(part);
            packed = rest;
            if !is_used_up {
                return;
            }
            self.pieces.as_mut().map(Vec::pop);
            self.holes();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let room = self.keeps.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// The holes that come next.
    fn holes(&mut self) {
        while let Some(Piece::Zeros(len)) = self.pieces.as_ref().and_then(|pieces| pieces.last()).copied() {
            self.hasher.update_zeros(len);
            self.size += len;
            let room = self.keeps.saturating_sub(self.bytes.len());
            let zeros = usize::try_from(len).map_or(room, |len| len.min(room));
            self.bytes.resize(self.bytes.len() + zeros, 0);
            self.pieces.as_mut().map(Vec::pop);
        }
    }
}

impl<'a> Layer<'a> {
    pub(super) fn new(
        algorithm: Algorithm,
        options: &ImportOptions,
        keep: &'a dyn Fn(&[u8]) -> bool,
    ) -> Self {
        let (limits, strictness) = (&options.limits, options.strictness);
        Self {
            reader: Reader::new(limits.clone(), strictness),
            tree: LayerTreeBuilder::new(algorithm, limits.clone(), strictness),
            algorithm,
            keep,
            open: None,
            kept: Vec::new(),
        }
    }

    /// Takes the next piece of the tar.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let mut input = piece;
        loop {
            match self.reader.next(&mut input)?.item {
                Item::NeedInput => return Ok(()),
                Item::Entry => self.begin()?,
                Item::Body { bytes, is_last } => {
                    if let Some(body) = &mut self.open {
                        body.take(bytes);
                    }
                    if is_last {
                        self.end()?;
                    }
                }
            }
        }
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        let slot = self.tree.add(self.reader.entry())?;
        let entry = self.reader.entry();
        let kept: usize = self.kept.iter().map(|(_, bytes)| bytes.len()).sum();
        let fits = usize::try_from(entry.size()).is_ok_and(|size| size <= KEPT_MAX.saturating_sub(kept));
        let is_kept = slot.is_some() && fits && (self.keep)(entry.path());
        self.open = Some(Body::new(entry, slot, self.algorithm, is_kept));
        if entry.packed_size() == 0 { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(Body { slot: Some(slot), hasher, size, bytes, keeps, .. }) = self.open.take() else {
            return Ok(());
        };
        if size <= INLINE_MAX as u64 {
            return self.tree.set_content(slot, FileContent::Inline(&bytes));
        }
        let id = hasher.finish();
        if keeps == KEPT_MAX {
            self.kept.push((id, bytes));
        }
        self.tree.set_content(slot, FileContent::Object { id, size })
    }

    /// The tar has ended; what was kept goes to `kept`.
    pub(super) fn finish(self, kept: &mut HashMap<ObjectId, Vec<u8>>) -> Result<LayerTree, Refusal> {
        self.reader.finish()?;
        kept.extend(self.kept);
        Ok(self.tree.finish()?.0)
    }
}
