//! The UUIDs of a disk, all from one seed, so that a disk can be made again bit for bit.

use std::fmt;

use sealstone_store::{Algorithm, verity};

/// What all ids of a disk are derived from. Two disks in one machine need two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed of these bytes: random ones for a disk of its own, fixed ones for one that shall be reproducible.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let digest = verity::digest(Algorithm::Sha256, bytes);
        let mut seed = [0; 32];
        seed.iter_mut().zip(digest.as_bytes()).for_each(|(place, byte)| *place = *byte);
        Self(seed)
    }

    /// The id of something, by its name.
    #[must_use]
    pub fn uuid(&self, name: &str) -> Uuid {
        let digest = verity::digest(Algorithm::Sha256, &[&self.0, name.as_bytes()].concat());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest.as_bytes()).for_each(|(place, byte)| *place = *byte);
        Uuid(bytes).of_our_making()
    }
}

/// A UUID, in the order in which it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The UUID of these hexadecimal digits.
    #[must_use]
    pub const fn from_u128(digits: u128) -> Self {
        Self(digits.to_be_bytes())
    }

    /// The same, said to be of version 8 (RFC 9562): of its maker's own making.
    pub(super) const fn of_our_making(self) -> Self {
        let mut bytes = self.0;
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// As GPT has it: the first three fields little-endian.
    #[must_use]
    pub fn to_guid(self) -> [u8; 16] {
        let mut guid = self.0;
        for (one, other) in [(0, 3), (1, 2), (4, 5), (6, 7)] {
            guid.swap(one, other);
        }
        guid
    }

    /// Of what GPT has.
    #[must_use]
    pub fn from_guid(guid: [u8; 16]) -> Self {
        Self(Self(guid).to_guid())
    }

    /// The first four bytes as a number: what FAT takes.
    #[must_use]
    pub const fn short(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
