//! A sparse file's object: its packed bytes at their places, zeros between.
//!
//! The splitstream keeps the packed body, from which the tar can be made again; the file that the tree has is this
//! object. Holes are neither written nor hashed byte by byte. Sparse files are rare in images: no other thread helps.

use sealstone_store::{ObjectId, ObjectWriter, Transaction, tree::INLINE_MAX};

use super::writer::Tally;
use crate::{
    error::Result,
    tar::{Entry, Piece, SparseMap},
};

/// Expands one sparse file while its packed body comes in.
pub(super) struct Expander<'tx> {
    /// What is left of the map, next stretch last.
    pieces: Vec<Piece>,
    to: Target<'tx>,
}

/// The file that it was expanded to.
pub(super) enum Expanded {
    /// So small that the tree keeps it.
    Small(Vec<u8>),
    /// An object, and its size in bytes.
    Object { id: ObjectId, size: u64 },
}

enum Target<'tx> {
    Small(Vec<u8>),
    Object(ObjectWriter<'tx>),
}

impl<'tx> Expander<'tx> {
    pub(super) fn new(entry: &Entry, transaction: &'tx Transaction) -> Result<Self> {
        let mut pieces: Vec<Piece> = entry.sparse().into_iter().flat_map(SparseMap::pieces).collect();
        pieces.reverse();
        let to = if entry.size() <= INLINE_MAX as u64 {
            Target::Small(Vec::new())
        } else {
            Target::Object(transaction.object_writer(entry.size())?)
        };
        let mut expander = Self { pieces, to };
        expander.holes()?;
        Ok(expander)
    }

    /// Takes the next packed bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some(Piece::Data(left)) = self.pieces.last_mut() {
            let now = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (part, rest) = bytes.split_at(now);
            *left -= now as u64;
            let is_used_up = *left == 0;
            match &mut self.to {
                Target::Small(file) => file.extend_from_slice(part),
                Target::Object(writer) => writer.write(part)?,
            }
            bytes = rest;
            if !is_used_up {
                return Ok(());
            }
            self.pieces.pop();
            self.holes()?;
        }
        Ok(())
    }

    /// Writes the holes that come next.
    fn holes(&mut self) -> Result<()> {
        while let Some(Piece::Zeros(len)) = self.pieces.last() {
            match &mut self.to {
                // A small file's holes are small: `INLINE_MAX` bounds its size.
                Target::Small(file) => file.resize(file.len() + usize::try_from(*len).unwrap_or_default(), 0),
                Target::Object(writer) => writer.write_zeros(*len)?,
            }
            self.pieces.pop();
        }
        Ok(())
    }

    /// The packed body has come to its end.
    pub(super) fn finish(self, tally: &Tally) -> Result<Expanded> {
        match self.to {
            Target::Small(file) => Ok(Expanded::Small(file)),
            Target::Object(writer) => {
                let size = writer.size();
                let stored = writer.finish()?;
                tally.count(stored, size);
                Ok(Expanded::Object { id: stored.id, size })
            }
        }
    }
}
