//! [`Seen`]: a set of ids that threads fill together: what a transaction has dealt with, what gc found alive.
//!
//! In a transaction, a repeated object costs a look-up in memory and no system call, and two threads never write the same object. Only
//! the first 32 bytes of an id are kept: as many as resist collisions, and 64-byte ids would double the memory.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, PoisonError},
};

use crate::ObjectId;

const SHARDS: usize = 16;

type Shard = Mutex<HashSet<Key, BuildHasherDefault<FirstEight>>>;

/// A concurrent set of object ids.
pub(crate) struct Seen([Shard; SHARDS]);

#[derive(PartialEq, Eq)]
struct Key([u8; 32]);

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// A digest is uniform: eight bytes of it are a hash. The first byte chose the shard.
#[derive(Default)]
struct FirstEight(u64);

impl Hasher for FirstEight {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.get(1..9).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self([const { Mutex::new(HashSet::with_hasher(BuildHasherDefault::new())) }; SHARDS])
    }

    /// Remembers the id; gives whether it is new.
    pub(crate) fn insert(&self, id: &ObjectId) -> bool {
        let (shard, key) = self.shard(id);
        shard.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }

    /// Whether the id was inserted.
    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        let (shard, key) = self.shard(id);
        shard.lock().unwrap_or_else(PoisonError::into_inner).contains(&key)
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn shard(&self, id: &ObjectId) -> (&Shard, Key) {
        let mut key = [0; 32];
        for (place, byte) in key.iter_mut().zip(id.as_bytes()) {
            *place = *byte;
        }
        (self.0.get(usize::from(key[0]) % SHARDS).unwrap_or(&self.0[0]), Key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, verity};

    #[test]
    fn of_many_threads_exactly_one_is_first_with_an_id() {
        let seen = Seen::new();
        let ids: Vec<_> =
            (0..1000_u32).map(|i| verity::digest(Algorithm::Sha512, &i.to_le_bytes())).collect();
        let firsts: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| ids.iter().filter(|id| seen.insert(id)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((firsts, seen.len()), (1000, 1000));
        assert!(seen.contains(&ids[7]) && !seen.contains(&verity::digest(Algorithm::Sha512, b"")));
    }
}
