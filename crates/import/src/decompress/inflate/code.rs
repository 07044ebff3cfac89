//! A canonical Huffman code (RFC 1951 §3.2.2), and decoding it bit by bit: the slow way, for what the tables leave out.

use super::{Damage, bits::low};

/// The longest code, in bits.
const MAX_BITS: usize = 15;

/// A code of at most `N` symbols. As it is made, it has none.
pub(super) struct Code<const N: usize> {
    /// How many codes there are of each length in bits; none of length 0.
    counts: [u16; MAX_BITS + 1],
    /// The symbols that have a code, by its length, then by their value.
    sorted: [u16; N],
}

/// Which patterns of bits may be no code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    None,
    /// Those that one code of one bit leaves; or all, when there is no code. This is what zlib accepts.
    BesideOneCode,
}

/// What came of decoding one symbol.
pub(super) enum Walk {
    /// The symbol, and its code's length in bits.
    Symbol(u16, u32),
    /// The code goes on behind the bits at hand.
    Unfinished,
    /// No code begins so.
    Invalid,
}

/// One code of those that [`Code::each`] goes through.
#[derive(Clone, Copy)]
pub(super) struct Codeword {
    /// Its bits, the first one lowest.
    pub(super) bits: u16,
    /// How many they are.
    pub(super) length: u32,
    pub(super) symbol: u16,
}

impl<const N: usize> Code<N> {
    pub(super) const fn new() -> Self {
        Self { counts: [0; MAX_BITS + 1], sorted: [0; N] }
    }

    /// Takes the length of each symbol's code in bits, 0 where there is none.
    pub(super) fn set(&mut self, lengths: &[u8], gaps: Gaps) -> Result<(), Damage> {
        let mut counts = [0_u16; MAX_BITS + 1];
        for length in lengths {
            if let Some(count) = counts.get_mut(usize::from(*length & 15)) {
                *count += 1;
            }
        }
        counts[0] = 0;
        // Where the symbols of each length begin among the sorted.
        let mut starts = [0_u16; MAX_BITS + 1];
        let (mut total, mut left) = (0, 1_i32);
        for (start, count) in starts.iter_mut().zip(&counts).skip(1) {
            left = left * 2 - i32::from(*count);
            if left < 0 {
                return Err(Damage::TooManyCodes);
            }
            *start = total;
            total += count;
        }
        let one_code = total == counts[1] && total <= 1;
        if left > 0 && (gaps == Gaps::None || !one_code) {
            return Err(Damage::TooFewCodes);
        }
        for (symbol, length) in (0..).zip(lengths).filter(|(_, length)| **length > 0) {
            if let Some(start) = starts.get_mut(usize::from(*length & 15))
                && let Some(place) = self.sorted.get_mut(usize::from(*start))
            {
                *place = symbol;
                *start += 1;
            }
        }
        self.counts = counts;
        Ok(())
    }

    /// Calls `longer` with every length from 1 to `longest`, and `code` after that with every code of that length.
    pub(super) fn each<T>(
        &self,
        longest: u32,
        table: &mut T,
        mut longer: impl FnMut(&mut T, u32),
        mut code: impl FnMut(&mut T, Codeword),
    ) {
        let (mut next, mut index) = (0_u16, 0);
        for (length, count) in (1..=longest).zip(self.counts.iter().skip(1)) {
            longer(table, length);
            next <<= 1;
            let symbols = self.sorted.get(index..index + usize::from(*count)).unwrap_or_default();
            for symbol in symbols {
                let bits = next.reverse_bits() >> (16 - length);
                code(table, Codeword { bits, length, symbol: *symbol });
                next += 1;
            }
            index += symbols.len();
        }
    }

    /// The length of the shortest code in bits; 1 when there is none.
    pub(super) fn shortest(&self) -> u32 {
        (1..).zip(self.counts.iter().skip(1)).find(|(_, count)| **count > 0).map_or(1, |(length, _)| length)
    }

    /// Decodes one symbol from the lowest bits of `held`, of which there are `count`.
    pub(super) fn walk(&self, held: u64, count: u32) -> Walk {
        let (mut code, mut first, mut index) = (0_u64, 0_u64, 0_u64);
        for (length, codes) in (1..).zip(self.counts.iter().skip(1)) {
            if length > count {
                return Walk::Unfinished;
            }
            let codes = u64::from(*codes);
            code = code << 1 | low(held >> (length - 1), 1);
            first <<= 1;
            if code < first + codes {
                let place = usize::try_from(index + code - first).unwrap_or(usize::MAX);
                return self.sorted.get(place).map_or(Walk::Invalid, |symbol| Walk::Symbol(*symbol, length));
            }
            first += codes;
            index += codes;
        }
        Walk::Invalid
    }
}
