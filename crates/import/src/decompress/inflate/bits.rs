//! The bits of a deflate stream: those of each byte from the lowest up (RFC 1951 §3.1.1).
//!
//! Up to 63 bits are held, taken from the input ahead of need. Invariant: the bits above those held are zero, so that a
//! look-up with too few bits is harmless; whoever does one compares its length with what is held.

/// The bits at hand, and the input that more come from.
pub(super) struct Bits<'a> {
    pub(super) held: u64,
    /// How many are held.
    pub(super) count: u32,
    pub(super) input: &'a [u8],
    /// How much of the input was taken, in bytes.
    pub(super) at: usize,
}

/// The lowest `count` bits of `value`; `count` is below 64.
pub(super) const fn low(value: u64, count: u32) -> u64 {
    value & !(u64::MAX << (count & 63))
}

impl Bits<'_> {
    /// Takes whole bytes until 56 bits or more are held, or the input ends.
    pub(super) fn refill(&mut self) {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let wanted = (63 - self.count) / 8;
        if let Some(word) = rest.first_chunk::<8>() {
            self.held |= low(u64::from_le_bytes(*word), wanted * 8) << self.count;
            self.count += wanted * 8;
            self.at += wanted as usize;
        } else {
            for byte in rest.iter().take(wanted as usize) {
                self.held |= u64::from(*byte) << self.count;
                self.count += 8;
                self.at += 1;
            }
        }
    }

    /// The next `count` bits, at most 32. `None`, and nothing taken, when they have not all come.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        if self.count < count {
            self.refill();
        }
        if self.count < count {
            return None;
        }
        let value = low(self.held, count);
        self.skip(count);
        u32::try_from(value).ok()
    }

    /// Drops bits that are held.
    pub(super) const fn skip(&mut self, count: u32) {
        self.held >>= count & 63;
        self.count -= count;
    }

    /// Drops what is left of a byte that was begun.
    pub(super) const fn align(&mut self) {
        self.skip(self.count & 7);
    }
}
