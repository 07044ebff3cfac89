//! The table of the literals' and lengths' code: what the next twelve bits of the stream say.
//!
//! An entry says as much as the bits allow: one or two literals, a length with its extra bits, or a literal and a
//! length. What is rare (the block's end, codes or lengths with more bits) is told by one flag, and decoded elsewhere.
//!
//! ```text
//! bit    0–5          6–8        9–16     17–24         26–29                  30     31
//!        bits to skip literals   literal  2nd literal   bits of 1st literal    0      0
//!                     0 or 1     literal  17–25: length bits of 1st literal    0      1
//!        bits, or 0   0                   17–25: symbol                        1      0
//! ```
//!
//! The numbers of two entries can be added in one addition: neither sum leaves its field.

use super::{
    code::{Code, Codeword},
    symbols,
};

/// How many bits of the stream tell the entry.
pub(super) const BITS: u32 = 12;

/// Set where a length is the last thing that the entry says.
pub(super) const MATCH: u32 = 1 << 31;

/// Set where the table does not say it. Shared with the distances' table.
pub(super) const RARE: u32 = 1 << 30;

const ONE_LITERAL: u32 = 1 << 6;
const LITERAL: u32 = 9;
const SECOND: u32 = 17;
const LENGTH: u32 = 17;
const FIRST_BITS: u32 = 26;

/// One entry, or the sum of several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u32);

impl Entry {
    /// Says nothing: no bits, no literal, no length.
    pub(super) const IDLE: Self = Self(0);

    const fn literal(literal: u32, bits: u32) -> Self {
        Self(bits | ONE_LITERAL | literal << LITERAL | bits << FIRST_BITS)
    }

    const fn length_of(length: u32, bits: u32) -> Self {
        Self(bits | length << LENGTH | MATCH)
    }

    /// A symbol that is rare for what it is, not for its bits.
    const fn rare(symbol: u16, bits: u32) -> Self {
        Self(bits | (symbol as u32) << LENGTH | RARE)
    }

    /// How many bits of the stream it stands for; 0 where it stands for none, or for more than the table knows.
    pub(super) const fn bits(self) -> u32 {
        self.0 & 63
    }

    pub(super) const fn is_match(self) -> bool {
        self.0 & MATCH != 0
    }

    pub(super) const fn is_rare(self) -> bool {
        self.0 & RARE != 0
    }

    /// How many literals it has.
    pub(super) const fn literals(self) -> usize {
        (self.0 >> 6 & 7) as usize
    }

    /// The literals; what is above them is noise.
    pub(super) const fn two_literals(self) -> [u8; 2] {
        [(self.0 >> LITERAL & 0xff) as u8, (self.0 >> SECOND & 0xff) as u8]
    }

    /// The first literal, and its bits.
    pub(super) const fn first_literal(self) -> Option<(u8, u32)> {
        let [first, _] = self.two_literals();
        if self.literals() == 0 || self.is_rare() { None } else { Some((first, self.0 >> FIRST_BITS & 15)) }
    }

    /// The length of the match; noise where there is none.
    pub(super) const fn length(self) -> u32 {
        self.0 >> LENGTH & 0x1ff
    }

    /// The symbol of a rare entry with bits.
    pub(super) const fn symbol(self) -> u16 {
        (self.0 >> LENGTH & 0x1ff) as u16
    }

    /// What to add to an entry with one literal, so that it says this as well.
    const fn behind_a_literal(self) -> u32 {
        (self.0 & 0x1ff)
            + (self.0 & (MATCH | 0x1ff << LENGTH))
            + ((self.0 & 0xff << LITERAL) << (SECOND - LITERAL))
    }
}

/// An entry for every pattern of [`BITS`] bits.
pub(super) struct LitLenTable(Box<[Entry; 1 << BITS]>);

impl LitLenTable {
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
    pub(super) fn fill(&mut self, code: &Code<288>) {
        self.fill_singles(code);
        self.fill_lengths_with_extra_bits(code);
        self.fill_pairs(code);
    }

    /// Entries of one symbol. A table for `n` bits, twice, is one for `n + 1` bits that lacks the codes of `n + 1` bits.
    fn fill_singles(&mut self, code: &Code<288>) {
        let table = &mut *self.0;
        table[0] = Entry(RARE);
        code.each(
            BITS,
            table,
            |table, bits| double(table, bits),
            |table, Codeword { bits, length, symbol }| {
                let entry = match symbol {
                    0..symbols::END => Entry::literal(u32::from(symbol), length),
                    _ => match symbols::length(symbol) {
                        Some(meaning) if meaning.extra == 0 => {
                            Entry::length_of(u32::from(meaning.base), length)
                        }
                        _ => Entry::rare(symbol, length),
                    },
                };
                if let Some(place) = table.get_mut(usize::from(bits)) {
                    *place = entry;
                }
            },
        );
    }

    fn fill_lengths_with_extra_bits(&mut self, code: &Code<288>) {
        let nothing = |_: &mut _, _| {};
        code.each(BITS, &mut *self.0, nothing, |table, Codeword { bits, length, symbol }| {
            let Some(meaning) = symbols::length(symbol) else { return };
            let total = length + meaning.extra;
            if meaning.extra == 0 || total > BITS {
                return;
            }
            for more in 0..1_u16 << meaning.extra {
                let entry = Entry::length_of(u32::from(meaning.base + more), total);
                let places = table.get_mut(usize::from(bits | more << length)..).unwrap_or_default();
                places.iter_mut().step_by(1 << total).for_each(|place| *place = entry);
            }
        });
    }

    /// Lets entries of one literal say what comes behind it, where the bits are enough for that.
    fn fill_pairs(&mut self, code: &Code<288>) {
        /// More bits than there can be room for.
        const TOO_MANY: u32 = 63;
        let longest = BITS - code.shortest();
        let mut behind = [0_u32; 1 << (BITS - 1)];
        for (sum, second) in behind.iter_mut().zip(&*self.0).take(1 << longest) {
            *sum = if second.is_rare() { TOO_MANY } else { second.behind_a_literal() };
        }
        let nothing = |_: &mut _, _| {};
        code.each(longest, &mut *self.0, nothing, |table, Codeword { bits, length, symbol }| {
            if symbol >= symbols::END {
                return;
            }
            let alone = Entry::literal(u32::from(symbol), length);
            let places =
                table.get_mut(usize::from(bits)..).unwrap_or_default().iter_mut().step_by(1 << length);
            for (place, sum) in places.zip(&behind) {
                let fits = length + (sum & 63) <= BITS;
                *place = if fits { Entry(alone.0 + sum) } else { alone };
            }
        });
    }
}

/// Makes of a table for one bit less a table for `bits` bits.
pub(super) fn double<T: Copy>(table: &mut [T], bits: u32) {
    let half = 1 << (bits - 1);
    if let Some((lower, upper)) = table.split_at_mut_checked(half)
        && let Some(upper) = upper.get_mut(..half)
    {
        upper.copy_from_slice(lower);
    }
}
