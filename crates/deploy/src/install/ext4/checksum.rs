//! CRC-32C as ext4 has it: no inversion at the end, and what came before as the start.

/// The table of the reflected polynomial 0x82f63b78.
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "computed by the compiler, below 256"
)]
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut value, mut bit) = (index as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// The checksum so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crc(u32);

impl Crc {
    /// Of nothing.
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    /// With more bytes.
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        let step = |crc: u32, byte: &u8| {
            let index = usize::from((crc.to_le_bytes()[0]) ^ byte);
            TABLE.get(index).copied().unwrap_or_default() ^ (crc >> 8)
        };
        Self(bytes.iter().fold(self.0, step))
    }

    pub(super) const fn value(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc32c() {
        assert_eq!(!Crc::new().with(b"123456789").value(), 0xe306_9283);
    }
}
