//! [`Chunker`]: where a file is cut, by its content.
//!
//! The rolling sum of bup and Camlistore, with 16 bits, as containers/storage uses it: chunks have 64 KiB on average, and
//! a file that changed in one place has the same chunks before and behind it, whoever cut it. Long runs of zeros are
//! chunks of their own, which nobody has to fetch.

use std::ops::Range;

/// Zeros in a row that make a chunk of their own.
const HOLE: u64 = 1024;

const WINDOW: usize = 64;
const WIDTH: u32 = 64;
const OFFSET: u32 = 31;
const BITS: u32 = 16;

/// What comes next: zeros that waited, then bytes out of those that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Zeros that had been taken before, now to be put out.
    pub(super) zeros: u64,
    /// They are a chunk of their own.
    pub(super) is_hole: bool,
    /// A chunk ends behind them.
    pub(super) ends_after_zeros: bool,
    /// Of the bytes that were given, those to be put out then.
    pub(super) data: Range<usize>,
    /// A chunk ends behind them.
    pub(super) ends_after_data: bool,
    /// Zeros behind the data that wait now.
    waiting: usize,
}

impl Cut {
    /// How many of the given bytes were taken.
    pub(super) const fn taken(&self) -> usize {
        self.data.end + self.waiting
    }
}

/// Cuts one file.
pub(super) struct Chunker {
    sum: RollingSum,
    zeros: u64,
}

impl Chunker {
    pub(super) const fn new() -> Self {
        Self { sum: RollingSum::new(), zeros: 0 }
    }

    /// Takes some of the bytes, at least one if there are any.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Cut {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            self.zeros += zeros as u64;
            return Cut { waiting: zeros, ..Cut::default() };
        }
        let cut = self.settle();
        let run = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        for (place, byte) in bytes.iter().take(run).enumerate() {
            if self.sum.roll(*byte) {
                return Cut { data: 0..place + 1, ends_after_data: true, ..cut };
            }
        }
        Cut { data: 0..run, ..cut }
    }

    /// The file has ended: what still waits.
    pub(super) fn finish(&mut self) -> Cut {
        self.settle()
    }

    /// Zeros that waited are over.
    fn settle(&mut self) -> Cut {
        let zeros = std::mem::take(&mut self.zeros);
        let is_hole = zeros >= HOLE;
        let mut ends_after_zeros = false;
        // More of them than the window has leave it as it is then.
        for _ in 0..zeros.min(HOLE) {
            ends_after_zeros = self.sum.roll(0);
        }
        Cut { zeros, is_hole, ends_after_zeros, ..Cut::default() }
    }
}

/// The sum over the last 64 bytes.
struct RollingSum {
    first: u32,
    second: u32,
    window: [u8; WINDOW],
    place: usize,
}

impl RollingSum {
    const fn new() -> Self {
        Self { first: WIDTH * OFFSET, second: WIDTH * (WIDTH - 1) * OFFSET, window: [0; WINDOW], place: 0 }
    }

    /// Takes a byte in, and the oldest out; says whether a chunk ends here.
    fn roll(&mut self, byte: u8) -> bool {
        let Some(slot) = self.window.get_mut(self.place) else { return false };
        let old = u32::from(std::mem::replace(slot, byte));
        self.place = (self.place + 1) % WINDOW;
        self.first = self.first.wrapping_add(u32::from(byte)).wrapping_sub(old);
        let dropped = WIDTH.wrapping_mul(old.wrapping_add(OFFSET));
        self.second = self.second.wrapping_add(self.first).wrapping_sub(dropped);
        self.second & ((1 << BITS) - 1) == (1 << BITS) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the chunks; zeros as negative numbers.
    fn cut(bytes: &[u8], step: usize) -> Vec<i64> {
        let mut chunker = Chunker::new();
        let (mut chunks, mut open) = (Vec::new(), 0);
        let mut apply = |cut: &Cut, open: &mut i64| {
            let zeros = i64::try_from(cut.zeros).unwrap();
            if cut.is_hole {
                chunks.extend([*open, -zeros]);
                *open = 0;
            } else {
                *open += zeros;
                if cut.ends_after_zeros {
                    chunks.push(std::mem::take(open));
                }
            }
            *open += i64::try_from(cut.data.len()).unwrap();
            if cut.ends_after_data {
                chunks.push(std::mem::take(open));
            }
        };
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let cut = chunker.next(piece);
                apply(&cut, &mut open);
                piece = &piece[cut.taken()..];
            }
        }
        apply(&chunker.finish(), &mut open);
        chunks.push(open);
        chunks.retain(|size| *size != 0);
        chunks
    }

    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..len).map(|_| step()).collect()
    }

    #[test]
    fn chunks_are_64_kib_on_average_and_do_not_depend_on_pieces() {
        let bytes = noise(4 << 20, 7);
        let chunks = cut(&bytes, bytes.len());
        assert!((32..128).contains(&chunks.len()), "{} chunks", chunks.len());
        assert_eq!(chunks.iter().sum::<i64>(), 4 << 20);
        for step in [1000, 4096, 65_537] {
            assert_eq!(cut(&bytes, step), chunks);
        }
    }

    #[test]
    fn a_change_in_one_place_leaves_the_chunks_behind_it() {
        let bytes = noise(2 << 20, 9);
        let mut changed = bytes.clone();
        changed.splice(500_000..500_010, [1; 99]);
        let (one, other) = (cut(&bytes, 9999), cut(&changed, 9999));
        assert_eq!(one[one.len() - 10..], other[other.len() - 10..]);
    }

    #[test]
    fn long_runs_of_zeros_are_chunks_of_their_own_wherever_they_are() {
        let mut bytes = vec![0; 5000];
        bytes.extend([1; 300]);
        bytes.extend([0; 1023]);
        bytes.extend([2; 300]);
        bytes.extend([0; 1024]);
        for step in [1, 7, 512, 9000] {
            assert_eq!(cut(&bytes, step), [-5000, 1623, -1024], "pieces of {step}");
        }
        assert_eq!(cut(&[0; 100], 7), [100]);
    }
}
