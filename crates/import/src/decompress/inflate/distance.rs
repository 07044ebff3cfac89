//! The table of the distances' code: what the next nine bits of the stream say.
//!
//! ```text
//! bit    0–5                   8–11          15–29              30
//!        bits, extra included  bits of code  distance's base    0
//!                                                               1, what the table does not say
//! ```

use super::{
    bits::low,
    code::{Code, Codeword},
    litlen::{RARE, double},
    symbols,
};

/// How many bits of the stream tell the entry.
pub(super) const BITS: u32 = 9;

const CODE_BITS: u32 = 8;
const BASE: u32 = 15;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u32);

impl Entry {
    /// Says nothing: no bits, the distance 0.
    pub(super) const IDLE: Self = Self(0);

    /// How many bits of the stream it stands for.
    pub(super) const fn bits(self) -> u32 {
        self.0 & 63
    }

    pub(super) const fn is_rare(self) -> bool {
        self.0 & RARE != 0
    }

    /// The distance, in bytes; `held` has the code in its lowest bits.
    #[inline]
    pub(super) const fn distance(self, held: u64) -> usize {
        let extra = low(held, self.bits()) >> (self.0 >> CODE_BITS & 15);
        // At most 13 bits.
        (self.0 >> BASE) as usize + (extra & 0x1fff) as usize
    }
}

/// An entry for every pattern of [`BITS`] bits.
pub(super) struct DistanceTable(Box<[Entry; 1 << BITS]>);

impl DistanceTable {
    pub(super) fn new() -> Self {
        Self(Box::new([Entry(RARE); 1 << BITS]))
    }

    /// What the lowest bits of `held` say.
    #[inline]
    pub(super) fn look_up(&self, held: u64) -> Entry {
        // The mask keeps the index within the table.
        let index = (held & ((1 << BITS) - 1)) as usize;
        self.0.get(index).copied().unwrap_or(Entry(RARE))
    }

    /// Makes the entries of a code.
    pub(super) fn fill(&mut self, code: &Code<32>) {
        let table = &mut *self.0;
        table[0] = Entry(RARE);
        code.each(
            BITS,
            table,
            |table, bits| double(table, bits),
            |table, Codeword { bits, length, symbol }| {
                let entry = symbols::distance(symbol).map_or(Entry(RARE), |meaning| {
                    Entry((length + meaning.extra) | length << CODE_BITS | u32::from(meaning.base) << BASE)
                });
                if let Some(place) = table.get_mut(usize::from(bits)) {
                    *place = entry;
                }
            },
        );
    }
}
