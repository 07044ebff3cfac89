//! [`Pieces`]: what is known of bytes that are still to come, sorted by their place in the image, and bounded.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// Pieces that may wait: 32 bytes each. A run of clusters that follow each other, in the image as on the disk, is one.
pub(super) const MOST_PIECES: usize = 512 << 10;

/// What bytes of the image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first table.
    First,
    /// The second table with this number.
    Second(u32),
    /// Bytes of the disk, from this offset on it.
    Data(u64),
    /// One cluster, packed, of this offset on the disk.
    Packed(u64),
}

/// Bytes of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) kind: Kind,
}

impl Piece {
    /// Where it ends. Offsets are below 2^56 and lengths below 2^45, so nothing overflows.
    pub(super) const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

impl Ord for Piece {
    /// By place. Equal ones have no order that matters.
    fn cmp(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start)
    }
}

impl PartialOrd for Piece {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Pieces {
    heap: BinaryHeap<Reverse<Piece>>,
    tables: usize,
}

impl Pieces {
    /// Adds one; false when there are too many.
    pub(super) fn add(&mut self, piece: Piece) -> bool {
        self.tables += usize::from(is_table(&piece));
        self.heap.push(Reverse(piece));
        self.heap.len() <= MOST_PIECES
    }

    /// The first, if `wanted`.
    pub(super) fn take_if(&mut self, wanted: impl Fn(&Piece) -> bool) -> Option<Piece> {
        if !self.heap.peek().is_some_and(|Reverse(piece)| wanted(piece)) {
            return None;
        }
        let Reverse(piece) = self.heap.pop()?;
        self.tables -= usize::from(is_table(&piece));
        Some(piece)
    }

    /// Where the first begins.
    pub(super) fn next_start(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(piece)| piece.start)
    }

    /// Whether tables are among them, so that more may be added.
    pub(super) const fn may_grow(&self) -> bool {
        self.tables > 0
    }
}

const fn is_table(piece: &Piece) -> bool {
    matches!(piece.kind, Kind::First | Kind::Second(_))
}
