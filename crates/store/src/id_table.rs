//! A hash table of ids whose keys live in the caller's arena.
//!
//! What lives here: open addressing over 8-byte slots (32 bits of hash, the id), grown at three quarters full. What
//! does not: keys and their comparison; the caller passes both. Hashes are keyed at random, so that a hostile image
//! cannot line up collisions. Nothing that is written depends on the table's order.

use std::hash::{BuildHasher, Hash, RandomState};

/// A slot without an id.
const EMPTY: u64 = u64::MAX;

/// A set of `u32` ids, found by the hash and the equality of keys that the caller holds. `u32::MAX` is no id.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdTable {
    /// `hash << 32 | id`; the length is zero or a power of two.
    slots: Vec<u64>,
    len: usize,
    keys: RandomState,
}

impl IdTable {
    /// The hash of a key, for [`find_or_insert`](Self::find_or_insert) on this table.
    pub(crate) fn hash(&self, key: impl Hash) -> u32 {
        let hash = self.keys.hash_one(key);
        // The halves of a SipHash are equally good: fold them.
        u32::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or_default()
    }

    /// The id already here whose key is the `same`, or `None` after `id` has been put in.
    pub(crate) fn find_or_insert(
        &mut self,
        hash: u32,
        id: u32,
        mut same: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        if self.len >= self.slots.len() / 4 * 3 {
            self.rehash((self.slots.len() * 2).max(16));
        }
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(place) {
            if *slot == EMPTY {
                *slot = u64::from(hash) << 32 | u64::from(id);
                self.len += 1;
                return None;
            }
            let (slot_hash, slot_id) = split(*slot);
            if slot_hash == hash && same(slot_id) {
                return Some(slot_id);
            }
            place = place.wrapping_add(1) & mask;
        }
        None
    }

    /// The heap memory held, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    fn rehash(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; size]);
        let mask = size.wrapping_sub(1);
        for slot in old.into_iter().filter(|slot| *slot != EMPTY) {
            let mut place = split(slot).0 as usize & mask;
            while self.slots.get(place).is_some_and(|taken| *taken != EMPTY) {
                place = place.wrapping_add(1) & mask;
            }
            if let Some(free) = self.slots.get_mut(place) {
                *free = slot;
            }
        }
    }
}

/// The hash and the id of a slot.
fn split(slot: u64) -> (u32, u32) {
    let (hash, id) = (slot >> 32, slot & 0xffff_ffff);
    (u32::try_from(hash).unwrap_or_default(), u32::try_from(id).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again_under_its_first_id() {
        let keys: Vec<String> = (0..10_000).map(|n| format!("key {}", n % 7_000)).collect();
        let mut table = IdTable::default();
        for (id, key) in keys.iter().enumerate() {
            let id = u32::try_from(id).unwrap();
            let same = |other: u32| keys[other as usize] == *key;
            let found = table.find_or_insert(table.hash(key.as_bytes()), id, same);
            assert_eq!(found, (id >= 7_000).then(|| id - 7_000));
        }
        assert_eq!(table.len, 7_000);
    }
}
