//! What the symbols of matches mean: bases and extra bits of lengths and distances (RFC 1951 §3.2.5).

/// The symbol that ends a block.
pub(super) const END: u16 = 256;

/// A symbol's value without its extra bits, and how many of those there are.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    pub(super) base: u16,
    pub(super) extra: u32,
}

/// What a symbol of the literals' and lengths' code above [`END`] means; none for 286 and 287, which nothing may use.
pub(super) fn length(symbol: u16) -> Option<Meaning> {
    const BASES: [u16; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
        195, 227, 258,
    ];
    let index = symbol.checked_sub(END + 1)?;
    let base = *BASES.get(usize::from(index))?;
    let extra = if index < 8 || index == 28 { 0 } else { u32::from(index) / 4 - 1 };
    Some(Meaning { base, extra })
}

/// What a symbol of the distances' code means; none for 30 and 31, which nothing may use.
pub(super) fn distance(symbol: u16) -> Option<Meaning> {
    let extra = (u32::from(symbol) / 2).saturating_sub(1);
    let base = if symbol < 4 { symbol + 1 } else { (2 + (symbol & 1)).checked_shl(extra)? + 1 };
    (symbol < 30).then_some(Meaning { base, extra })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_distances_follow_each_other_without_gap() {
        let mut next = 3;
        for symbol in 257..285 {
            let Meaning { base, extra } = length(symbol).unwrap();
            assert_eq!(base, next, "length symbol {symbol}");
            next += 1 << extra;
        }
        // The last length has a symbol of its own, which the one before could say as well.
        assert_eq!(next, 259);
        assert!(matches!(length(285), Some(Meaning { base: 258, extra: 0 })));
        assert!(length(END).is_none() && length(286).is_none() && length(287).is_none());
        let mut next = 1;
        for symbol in 0..30 {
            let Meaning { base, extra } = distance(symbol).unwrap();
            assert_eq!(base, next, "distance symbol {symbol}");
            next += 1 << extra;
        }
        assert_eq!(next, 32_769);
        assert!(distance(30).is_none() && distance(31).is_none());
    }
}
