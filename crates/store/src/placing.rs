//! [`Placing`]: what putting an object in its place needs to know; [`FreshFolders`]: which folders need no look-up.
//!
//! A folder of objects that a transaction made itself holds what the transaction put there, which it remembers, and what
//! others put there since, which publishing notices (an object never takes the place of another by accident). So in
//! such a folder nothing is looked up: an import into an empty repository saves a system call for each object.
//! What does not live here: the look-up and the write (`objects.rs`), the memory of what was put (`seen.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{objects::Found, temporary::Staging};

/// How an object is put in its place.
#[derive(Clone, Copy)]
pub(crate) struct Placing<'a> {
    /// What the look-up found there.
    pub(crate) found: Found,
    pub(crate) staging: &'a Arc<Staging>,
    /// Notes the folder, if it is made for this object.
    pub(crate) fresh: &'a FreshFolders,
}

/// A set of folders, by the first byte of the ids in them.
#[derive(Default)]
pub(crate) struct FreshFolders([AtomicU64; 4]);

impl FreshFolders {
    pub(crate) fn insert(&self, first: u8) {
        if let Some(word) = self.0.get(usize::from(first >> 6)) {
            word.fetch_or(1 << (first & 63), Ordering::Relaxed);
        }
    }

    pub(crate) fn contains(&self, first: u8) -> bool {
        let word = self.0.get(usize::from(first >> 6)).map_or(0, |word| word.load(Ordering::Relaxed));
        word >> (first & 63) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_fresh_by_itself() {
        let fresh = FreshFolders::default();
        for first in [0, 63, 64, 200, 255] {
            assert!(!fresh.contains(first));
            fresh.insert(first);
        }
        let there: Vec<u8> = (0..=255).filter(|first| fresh.contains(*first)).collect();
        assert_eq!(there, [0, 63, 64, 200, 255]);
    }
}
