//! The loop in which nearly all bytes of a stream are decoded.
//!
//! What costs time in inflate are branches that no processor can foretell: literal or match, once or twice a match. So
//! here is none. Every turn decodes the same things in the same order: an entry of the literals' and lengths' table,
//! another one unless the first had a length, a distance if one of them had. What is absent is there as an idle entry,
//! of no bits and no bytes. The branches that are left are for what is rare.

use std::hint::select_unpredictable;

use super::{
    Damage, Tables,
    bits::{Bits, low},
    distance,
    history::{History, LONGEST, copy_match},
    litlen::{self, RARE},
};

/// Matches up to this length are copied as if they had it.
const STRIDE: usize = 32;

/// The most bytes that a turn writes: four literals and a match.
const ROOM: usize = 4 + LONGEST;

/// Decodes until something rare comes, or an end of the input or of the room is near.
///
/// A turn takes 12 + 12 + 9 + 13 bits at most, and begins with 56 or more.
pub(super) fn decode(tables: &Tables, bits: &mut Bits<'_>, history: &mut History) -> Result<(), Damage> {
    let Tables { litlen, distances, .. } = tables;
    let (input, start, bytes) = (bits.input, history.start, &mut *history.bytes);
    let (mut held, mut count, mut at, mut end) = (bits.held, bits.count, bits.at, history.end);
    while let Some(word) = input.get(at..).and_then(<[u8]>::first_chunk::<8>)
        && let Some(room) = bytes.get_mut(end..).and_then(<[u8]>::first_chunk_mut::<ROOM>)
    {
        // Bits above `count` need not be zero here: they are those that come again with the next word.
        held |= u64::from_le_bytes(*word) << (count & 63);
        at += ((63 - count) / 8) as usize;
        count |= 0x38;
        let first = litlen.look_up(held);
        let after_first = held >> first.bits();
        let second = litlen.look_up(after_first);
        let second = select_unpredictable(first.is_match(), litlen::Entry::IDLE, second);
        let after_second = after_first >> second.bits();
        let is_match = first.is_match() | second.is_match();
        let far = distances.look_up(after_second);
        let far = select_unpredictable(is_match, far, distance::Entry::IDLE);
        if (first.0 | second.0 | far.0) & RARE != 0 {
            break;
        }
        held = after_second >> far.bits();
        let both = litlen::Entry(first.0.wrapping_add(second.0));
        count -= both.0.wrapping_add(far.0) & 63;
        let distance = far.distance(after_second);
        let length = select_unpredictable(first.is_match(), first, second).length();
        let length = select_unpredictable(is_match, length, 0) as usize;
        write(room, 0, first.two_literals());
        write(room, first.literals(), second.two_literals());
        let to = end + both.literals();
        if distance > to - start {
            return Err(Damage::TooFar);
        }
        if length > distance || length > STRIDE {
            copy_match(bytes, to, distance, length);
        } else {
            // What is copied without a match does not count. It is not taken from where the last turns wrote: reading that
            // would wait for their writes.
            let from = select_unpredictable(is_match, to - distance, 0);
            if let Some(source) = bytes.get(from..).and_then(<[u8]>::first_chunk::<STRIDE>).copied()
                && let Some(room) = bytes.get_mut(end..).and_then(<[u8]>::first_chunk_mut::<ROOM>)
            {
                write(room, both.literals(), source);
            }
        }
        end = to + length;
    }
    bits.held = low(held, count);
    bits.count = count;
    bits.at = at;
    history.end = end;
    Ok(())
}

/// Writes at a place that is within the room.
#[inline]
fn write<const N: usize>(room: &mut [u8; ROOM], at: usize, bytes: [u8; N]) {
    if let Some(place) = room.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *place = bytes;
    }
}
