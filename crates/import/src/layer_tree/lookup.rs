//! Finding a node by its parent and name: an open-addressed table of hashes and node numbers, 8 bytes a slot.

/// Node numbers by hash. The nodes themselves, and how to compare them, are the caller's.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// The hash in the upper half, the node number plus one in the lower; 0 is free. A power of two of them, at most
    /// three quarters taken. Hashes are beside the numbers so that a node is looked at only when it is the right one.
    slots: Vec<u64>,
    taken: usize,
}

impl Lookup {
    /// The node of this hash that fits.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        for slot in self.probe(hash) {
            let (other, node) = halves(self.slots.get(slot).copied()?);
            let node = node.checked_sub(1)?;
            if other == hash && is_it(node) {
                return Some(node);
            }
        }
        None
    }

    /// Adds a node.
    pub(super) fn insert(&mut self, hash: u32, node: u32) {
        if self.taken * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        self.taken += 1;
        self.put(hash, slot_of(hash, node));
    }

    /// Puts another node in the place of one.
    pub(super) fn replace(&mut self, hash: u32, old: u32, new: u32) {
        let slot = self.probe(hash).find(|slot| self.slots.get(*slot) == Some(&slot_of(hash, old)));
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = slot_of(hash, new);
        }
    }

    /// The heap memory held, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![0; len]);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.put(halves(slot).0, slot);
        }
    }

    fn put(&mut self, hash: u32, value: u64) {
        let slot = self.probe(hash).find(|slot| self.slots.get(*slot) == Some(&0));
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = value;
        }
    }

    /// All slots, from the hash's own on.
    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        (0..self.slots.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }
}

fn slot_of(hash: u32, node: u32) -> u64 {
    // Node numbers are bounded well below the largest.
    u64::from(hash) << 32 | u64::from(node.saturating_add(1))
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn halves(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_again_also_when_all_collide() {
        for spread in [0, 1, 0x9e37_79b9] {
            let hash = |node: u32| node.wrapping_mul(spread);
            let mut lookup = Lookup::default();
            assert_eq!(lookup.find(0, |_| true), None);
            for node in 0..300 {
                lookup.insert(hash(node), node);
            }
            lookup.replace(hash(7), 7, 300);
            for node in (0..300).filter(|node| *node != 7) {
                assert_eq!(lookup.find(hash(node), |other| other == node), Some(node));
            }
            assert_eq!(lookup.find(hash(7), |other| other == 7), None);
            assert_eq!(lookup.find(hash(7), |other| other == 300), Some(300));
        }
    }
}
