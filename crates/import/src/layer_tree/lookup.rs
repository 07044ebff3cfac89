//! Finding a node by its parent and name: an open-addressed table of node numbers, 4 bytes a slot.

/// Node numbers by hash. The nodes themselves, and how to compare them, are the caller's.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Node number plus one; 0 is free. A power of two of them, at most three quarters taken.
    slots: Vec<u32>,
    taken: usize,
}

impl Lookup {
    /// The node of this hash that fits.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.probe(hash).find_map(|slot| match self.slots.get(slot) {
            None | Some(0) => Some(None),
            Some(node) if is_it(node - 1) => Some(Some(node - 1)),
            Some(_) => None,
        })?
    }

    /// Adds a node. `hash_of` tells the hash of those that are in.
    pub(super) fn insert(&mut self, hash: u32, node: u32, hash_of: impl Fn(u32) -> u32) {
        if self.taken * 4 >= self.slots.len() * 3 {
            self.grow(hash_of);
        }
        self.taken += 1;
        self.put(hash, node);
    }

    /// Puts another node in the place of one.
    pub(super) fn replace(&mut self, hash: u32, old: u32, new: u32) {
        let slot = self.probe(hash).find(|slot| self.slots.get(*slot) == Some(&(old + 1)));
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = new + 1;
        }
    }

    /// The heap memory held, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }

    fn grow(&mut self, hash_of: impl Fn(u32) -> u32) {
        let len = (self.slots.len() * 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![0; len]);
        for node in old.into_iter().filter_map(|slot| slot.checked_sub(1)) {
            self.put(hash_of(node), node);
        }
    }

    fn put(&mut self, hash: u32, node: u32) {
        let slot = self.probe(hash).find(|slot| self.slots.get(*slot) == Some(&0));
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = node + 1;
        }
    }

    /// All slots, from the hash's own on.
    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        (0..self.slots.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }
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
                lookup.insert(hash(node), node, hash);
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
