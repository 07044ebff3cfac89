//! Where a sparse file's packed bytes belong.

use super::Reason;

/// A run of data in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// The data segments of a sparse file, in order, without overlap; what is between is zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseMap {
    segments: Vec<Segment>,
    size: u64,
}

/// A stretch of an expanded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many of the next packed bytes.
    Data(u64),
    /// So many zeros.
    Zeros(u64),
}

impl SparseMap {
    /// The data segments, in order; empty ones included.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes of the file, holes expanded.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The file from start to end as stretches of data and zeros, none empty. Their lengths sum up to
    /// [`size`](Self::size), those of the data to the entry's packed size.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let end = Segment { offset: self.size, len: 0 };
        let mut at = 0;
        self.segments.iter().copied().chain([end]).flat_map(move |segment| {
            let hole = Piece::Zeros(segment.offset.saturating_sub(at));
            at = segment.offset.saturating_add(segment.len);
            [hole, Piece::Data(segment.len)].into_iter().filter(|piece| !piece.is_empty())
        })
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.size = 0;
    }

    pub(super) fn push(&mut self, segment: Segment, limit: usize) -> Result<(), Reason> {
        if self.segments.len() >= limit {
            return Err(Reason::TooBig { what: "segments in a sparse map", limit: limit as u64 });
        }
        self.segments.push(segment);
        Ok(())
    }

    /// Fixes the file's size and checks that the map is one: in order, without overlap, within the size, and holding as
    /// many bytes as are packed.
    pub(super) fn complete(&mut self, size: u64, packed: u64) -> Result<(), Reason> {
        let mut end: u64 = 0;
        let mut sum: u64 = 0;
        for segment in &self.segments {
            if segment.offset < end {
                return Err(Reason::Sparse("segments overlap or are out of order"));
            }
            end = segment
                .offset
                .checked_add(segment.len)
                .filter(|end| *end <= size)
                .ok_or(Reason::Sparse("a segment ends past the file's size"))?;
            // Segments do not overlap and end within `size`: the sum cannot overflow.
            sum += segment.len;
        }
        if sum != packed {
            return Err(Reason::Sparse("the segments' sum is not the body's size"));
        }
        self.size = size;
        Ok(())
    }
}

impl Piece {
    const fn is_empty(self) -> bool {
        matches!(self, Self::Data(0) | Self::Zeros(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(segments: &[(u64, u64)], size: u64, packed: u64) -> Result<SparseMap, Reason> {
        let mut map = SparseMap::default();
        for &(offset, len) in segments {
            map.push(Segment { offset, len }, 8)?;
        }
        map.complete(size, packed).map(|()| map)
    }

    #[test]
    fn pieces_cover_the_file() {
        let pieces: Vec<_> = map(&[(0, 2), (5, 3), (8, 1), (20, 0)], 20, 6).unwrap().pieces().collect();
        assert_eq!(
            pieces,
            [Piece::Data(2), Piece::Zeros(3), Piece::Data(3), Piece::Data(1), Piece::Zeros(11)]
        );
        assert_eq!(map(&[], 7, 0).unwrap().pieces().collect::<Vec<_>>(), [Piece::Zeros(7)]);
        assert_eq!(map(&[], 0, 0).unwrap().pieces().next(), None);
    }

    #[test]
    fn maps_that_contradict_themselves_are_refused() {
        for (segments, size, packed) in [
            (&[(5, 3), (0, 2)][..], 20, 5),
            (&[(0, 4), (3, 2)], 20, 6),
            (&[(0, 21)], 20, 21),
            (&[(u64::MAX, 2)], 20, 2),
            (&[(0, 4)], 20, 5),
            (&[(0, 4)], 20, 3),
        ] {
            assert!(map(segments, size, packed).is_err(), "{segments:?}");
        }
    }
}
