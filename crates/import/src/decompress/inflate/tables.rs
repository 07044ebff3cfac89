//! The two codes of a block, each with its table; and the way to decode one symbol that never fails for lack of room,
//! input or a table's entry.

use super::{
    Damage,
    bits::{Bits, low},
    code::{Code, Gaps, Walk},
    distance::DistanceTable,
    litlen::LitLenTable,
    symbols,
};

pub(super) struct Tables {
    pub(super) litlen: LitLenTable,
    pub(super) distances: DistanceTable,
    litlen_code: Code<288>,
    distance_code: Code<32>,
    /// They are those of a fixed block.
    is_fixed: bool,
}

/// What comes next in a block.
pub(super) enum Symbol {
    Literal(u8),
    Match {
        length: usize,
        distance: usize,
    },
    /// The block is over.
    End,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            litlen: LitLenTable::new(),
            distances: DistanceTable::new(),
            litlen_code: Code::new(),
            distance_code: Code::new(),
            is_fixed: false,
        }
    }

    /// Takes the lengths of a dynamic block's codes.
    pub(super) fn set(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Damage> {
        if literals.get(usize::from(symbols::END)).is_none_or(|length| *length == 0) {
            return Err(Damage::NoEnd);
        }
        self.is_fixed = false;
        self.litlen_code.set(literals, Gaps::BesideOneCode)?;
        self.distance_code.set(distances, Gaps::BesideOneCode)?;
        self.litlen.fill(&self.litlen_code);
        self.distances.fill(&self.distance_code);
        Ok(())
    }

    /// Takes the codes of fixed blocks (RFC 1951 §3.2.6).
    pub(super) fn set_fixed(&mut self) -> Result<(), Damage> {
        if self.is_fixed {
            return Ok(());
        }
        let mut literals = [8; 288];
        if let Some([nines @ .., _]) = literals.get_mut(144..257) {
            nines.fill(9);
        }
        if let Some(sevens) = literals.get_mut(256..280) {
            sevens.fill(7);
        }
        self.set(&literals, &[5; 32])?;
        self.is_fixed = true;
        Ok(())
    }

    /// Decodes one symbol; nothing, and takes nothing but input, when it has not come as a whole.
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> Result<Option<Symbol>, Damage> {
        bits.refill();
        let (held, count) = (bits.held, bits.count);
        let entry = self.litlen.look_up(held);
        let (length, used) = if let Some((literal, used)) = entry.first_literal() {
            return Ok(taken(bits, used, Symbol::Literal(literal)));
        } else if entry.is_rare() {
            let (symbol, used) = match entry.bits() {
                0 => match self.litlen_code.walk(held, count) {
                    Walk::Symbol(symbol, used) => (symbol, used),
                    Walk::Unfinished => return Ok(None),
                    Walk::Invalid => return Err(Damage::LengthCode),
                },
                used => (entry.symbol(), used),
            };
            match symbol {
                0..symbols::END => {
                    return Ok(taken(bits, used, Symbol::Literal((symbol & 0xff) as u8)));
                }
                symbols::END => return Ok(taken(bits, used, Symbol::End)),
                _ if used > count => return Ok(None),
                _ => {
                    let meaning = symbols::length(symbol).ok_or(Damage::LengthCode)?;
                    (with_extra(meaning, held >> used), used + meaning.extra)
                }
            }
        } else {
            (entry.length() as usize, entry.bits())
        };
        if used > count {
            return Ok(None);
        }
        let Some((distance, more)) = self.distance(held >> used, count - used)? else { return Ok(None) };
        Ok(taken(bits, used + more, Symbol::Match { length, distance }))
    }

    /// Decodes a distance: it, and its bits, which may be more than there are.
    fn distance(&self, held: u64, count: u32) -> Result<Option<(usize, u32)>, Damage> {
        let entry = self.distances.look_up(held);
        if !entry.is_rare() {
            return Ok(Some((entry.distance(held), entry.bits())));
        }
        match self.distance_code.walk(held, count) {
            Walk::Symbol(symbol, used) => {
                let meaning = symbols::distance(symbol).ok_or(Damage::DistanceCode)?;
                Ok(Some((with_extra(meaning, held >> used), used + meaning.extra)))
            }
            Walk::Unfinished => Ok(None),
            Walk::Invalid => Err(Damage::DistanceCode),
        }
    }
}

/// The symbol, and its bits taken, if all of them have come.
const fn taken(bits: &mut Bits<'_>, used: u32, symbol: Symbol) -> Option<Symbol> {
    if used > bits.count {
        return None;
    }
    bits.skip(used);
    Some(symbol)
}

/// The value of a symbol whose extra bits are the lowest of `held`.
fn with_extra(meaning: symbols::Meaning, held: u64) -> usize {
    usize::from(meaning.base) + (low(held, meaning.extra) & 0x1fff) as usize
}
