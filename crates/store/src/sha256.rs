//! [`Sha256`]: SHA-256 of a stream, alone or beside another stream.
//!
//! The SHA instructions wait for their own results: one stream leaves half of the unit idle, two at once take the time
//! of little more than one. What lives here: buffering, padding and the pairing of streams. What does not: the rounds
//! (`raw::sha_ni`, or the crate `sha2` where there are no such instructions), fs-verity digests ([`verity`](crate::verity)).
//! Source: FIPS 180-4, §5.1.1 and §6.2.

use crate::raw::{hash_two_streams, sha2_start_256};

/// The bytes of a block.
const BLOCK: usize = 64;

/// SHA-256 while bytes stream by.
///
/// ```
/// use sealstone_store::Sha256;
///
/// let (mut first, mut second) = (Sha256::new(), Sha256::new());
/// Sha256::update_both((&mut first, b"ab"), (&mut second, b"other"));
/// first.update(b"c");
/// assert_eq!(first.finish()[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: [u32; 8],
    /// Bytes that do not make a block yet.
    held: [u8; BLOCK],
    /// How many of them; below a block's size between calls.
    filled: usize,
    /// All bytes so far.
    size: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// A hash that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: sha2_start_256(), held: [0; BLOCK], filled: 0, size: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.begin(bytes);
        sha2::block_api::compress256(&mut self.state, blocks);
        self.hold(rest);
    }

    /// Takes the next bytes of two streams; as far as both have bytes, side by side.
    pub fn update_both((a, a_bytes): (&mut Self, &[u8]), (b, b_bytes): (&mut Self, &[u8])) {
        let (a_blocks, a_rest) = a.begin(a_bytes);
        let (b_blocks, b_rest) = b.begin(b_bytes);
        let both = a_blocks.len().min(b_blocks.len());
        let ((a_two, a_one), (b_two, b_one)) = (a_blocks.split_at(both), b_blocks.split_at(both));
        if !hash_two_streams([&mut a.state, &mut b.state], [a_two, b_two]) {
            sha2::block_api::compress256(&mut a.state, a_two);
            sha2::block_api::compress256(&mut b.state, b_two);
        }
        sha2::block_api::compress256(&mut a.state, a_one);
        sha2::block_api::compress256(&mut b.state, b_one);
        a.hold(a_rest);
        b.hold(b_rest);
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(mut self) -> [u8; 32] {
        let bits = self.size.wrapping_mul(8);
        // A one bit, zeros up to eight bytes before a block's end, and the length in bits.
        let zeros = (2 * BLOCK - 9 - self.filled) % BLOCK;
        let mut padding = [0; 2 * BLOCK];
        padding[0] = 0x80;
        if let Some(length) = padding.get_mut(1 + zeros..9 + zeros) {
            length.copy_from_slice(&bits.to_be_bytes());
        }
        self.update(padding.get(..9 + zeros).unwrap_or_default());
        let mut digest = [0; 32];
        for (place, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *place = word.to_be_bytes();
        }
        digest
    }

    /// Completes the block that was begun, and gives the whole blocks that follow, and what is left.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> (&'a [[u8; BLOCK]], &'a [u8]) {
        self.size = self.size.wrapping_add(bytes.len() as u64);
        if self.filled == 0 {
            return bytes.as_chunks();
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
        self.hold(head);
        if self.filled == BLOCK {
            sha2::block_api::compress256(&mut self.state, &[self.held]);
            self.filled = 0;
        }
        rest.as_chunks()
    }

    fn hold(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if let Some(place) = self.held.get_mut(self.filled..end) {
            place.copy_from_slice(bytes);
            self.filled = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn oracle(bytes: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(bytes).into()
    }

    #[test]
    fn every_length_around_two_blocks_is_what_the_crate_sha2_says() {
        let bytes: Vec<u8> = (0..200_u8).collect();
        for end in 0..bytes.len() {
            let mut hash = Sha256::new();
            hash.update(&bytes[..end]);
            assert_eq!(hash.finish(), oracle(&bytes[..end]), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn two_streams_in_any_pieces_are_what_the_crate_sha2_says_of_each(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..400), proptest::collection::vec(any::<u8>(), 0..400), 0..3_u8), 0..8),
        ) {
            let (mut a, mut b) = (Sha256::new(), Sha256::new());
            let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
            for (x, y, way) in &pieces {
                match way {
                    0 => Sha256::update_both((&mut a, x), (&mut b, y)),
                    1 => Sha256::update_both((&mut b, y), (&mut a, x)),
                    _ => {
                        a.update(x);
                        b.update(y);
                    }
                }
                all_a.extend_from_slice(x);
                all_b.extend_from_slice(y);
            }
            prop_assert_eq!((a.finish(), b.finish()), (oracle(&all_a), oracle(&all_b)));
        }
    }
}
