//! The order in which boot entries change: what is written first, and what may be removed when (rule D9).
//!
//! What lives here: a pure function from the entries there are and those wanted to single steps. What does not: which
//! are wanted (the deploy crate's policy) and the writing (the ESP).
//! Invariants, for the state before each step and after: no name is overwritten; every deployment that has an entry
//! before and shall have one after has a whole one; some entry is there unless none was. A rerun from any state between
//! comes to the same end.

use std::collections::BTreeMap;

use crate::{BlsEntry, BootError, EntryName};

/// One step; each is made durable before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryChange {
    /// Write this entry; the name is free.
    Write(EntryName, BlsEntry),
    /// Remove the entry of this name.
    Remove(EntryName),
}

/// The steps that make `wanted` of `current`: entries of ours only, foreign ones are neither.
///
/// # Errors
/// [`BootError::Invalid`] when a deployment's id makes no file name.
pub fn entry_changes(
    current: &BTreeMap<EntryName, BlsEntry>,
    wanted: &BTreeMap<EntryName, BlsEntry>,
) -> Result<Vec<EntryChange>, BootError> {
    let mut disk = current.clone();
    let mut steps = Vec::new();
    let mut step = |disk: &mut BTreeMap<EntryName, BlsEntry>, change: EntryChange| {
        match &change {
            EntryChange::Write(name, entry) => disk.insert(name.clone(), entry.clone()),
            EntryChange::Remove(name) => disk.remove(name),
        };
        steps.push(change);
    };
    // D9 (2): all that has a free name, before anything goes.
    for (name, entry) in wanted {
        if !disk.contains_key(name) {
            step(&mut disk, EntryChange::Write(name.clone(), entry.clone()));
        }
    }
    // A name in use goes to its new owner when the old one has another entry, made for the purpose if need be.
    for (name, entry) in wanted {
        let Some(holder) = disk.get(name).filter(|holder| *holder != entry).cloned() else { continue };
        if !is_held_elsewhere(&disk, name, &holder, wanted) {
            let bridge = bridge_name(name, &holder, &disk)?;
            step(&mut disk, EntryChange::Write(bridge, holder));
        }
        step(&mut disk, EntryChange::Remove(name.clone()));
        step(&mut disk, EntryChange::Write(name.clone(), entry.clone()));
    }
    // D9 (3): only then what is left over.
    let left: Vec<EntryName> = disk.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
    for name in left {
        step(&mut disk, EntryChange::Remove(name));
    }
    Ok(steps)
}

/// Whether the name can be taken from its holder: its deployment has another bootable entry, or, if it shall have none
/// after all, some deployment that stays has one.
fn is_held_elsewhere(
    disk: &BTreeMap<EntryName, BlsEntry>,
    name: &EntryName,
    holder: &BlsEntry,
    wanted: &BTreeMap<EntryName, BlsEntry>,
) -> bool {
    let stays = wanted.values().any(|entry| entry.sealstone_id() == holder.sealstone_id());
    let serves = |(other, entry): (&EntryName, &BlsEntry)| {
        let same = entry.sealstone_id() == holder.sealstone_id();
        other != name && entry.is_bootable() && (same || (!stays && wanted.get(other) == Some(entry)))
    };
    !holder.is_bootable() || disk.iter().any(serves)
}

/// A free name for an entry that only tides over. It is counted as the entry's own is.
fn bridge_name(
    name: &EntryName,
    holder: &BlsEntry,
    disk: &BTreeMap<EntryName, BlsEntry>,
) -> Result<EntryName, BootError> {
    let tries = name.tries();
    let id = holder.sealstone_id().unwrap_or("foreign");
    // An id of SHA-512 leaves room; a longer one is cut, and the number keeps names apart.
    let id: String = id.chars().take(160).collect();
    let mut number = 0_u32;
    loop {
        let plain = EntryName::parse(&format!("bridge_{id}_{number}.conf"))?;
        let name = tries.map_or_else(|| Ok(plain.clone()), |tries| plain.counted(tries))?;
        if !disk.contains_key(&name) {
            return Ok(name);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SEALSTONE_ID_KEY;

    type Entries = BTreeMap<EntryName, BlsEntry>;

    fn entry(id: u8, text: u8) -> BlsEntry {
        let mut entry = BlsEntry::new();
        entry.set("title", &format!("t{text}")).unwrap();
        entry.set(SEALSTONE_ID_KEY, &format!("id{id}")).unwrap();
        entry.set("linux", "/vmlinuz").unwrap();
        entry
    }

    /// Few names and ids, so that they clash.
    fn entries() -> impl Strategy<Value = Entries> {
        let one = (0..4_u8, 0..4_u8, 0..2_u8);
        proptest::collection::vec(one, 0..5).prop_map(|list| {
            list.into_iter()
                .map(|(name, id, text)| {
                    (EntryName::parse(&format!("e{name}.conf")).unwrap(), entry(id, text))
                })
                .collect()
        })
    }

    fn ids(entries: &Entries) -> std::collections::BTreeSet<String> {
        entries.values().filter_map(|entry| entry.sealstone_id().map(str::to_owned)).collect()
    }

    /// Every state on the way, the first and the last included.
    fn states(current: &Entries, steps: &[EntryChange]) -> Vec<Entries> {
        let mut states = vec![current.clone()];
        for step in steps {
            let mut next = states.last().unwrap().clone();
            match step {
                EntryChange::Write(name, entry) => {
                    assert!(next.insert(name.clone(), entry.clone()).is_none(), "{name} is overwritten");
                }
                EntryChange::Remove(name) => assert!(next.remove(name).is_some(), "{name} is not there"),
            }
            states.push(next);
        }
        states
    }

    proptest! {
        #[test]
        fn every_deployment_that_stays_is_bootable_at_every_step(current in entries(), wanted in entries()) {
            let steps = entry_changes(&current, &wanted).unwrap();
            let stay: Vec<String> = ids(&current).intersection(&ids(&wanted)).cloned().collect();
            for state in states(&current, &steps) {
                for id in &stay {
                    prop_assert!(ids(&state).contains(id), "{id} is lost in {state:?}");
                }
                prop_assert!(!state.is_empty() || current.is_empty() || wanted.is_empty());
            }
        }

        #[test]
        fn a_rerun_from_any_state_between_comes_to_the_same_end(current in entries(), wanted in entries()) {
            let steps = entry_changes(&current, &wanted).unwrap();
            for state in states(&current, &steps) {
                let again = entry_changes(&state, &wanted).unwrap();
                let states = states(&state, &again);
                prop_assert_eq!(states.last().unwrap(), &wanted);
            }
        }
    }

    #[test]
    fn an_update_writes_the_new_entry_before_it_touches_the_old() {
        let name = |text: &str| EntryName::parse(text).unwrap();
        let current = Entries::from([(name("bootc_d-1-1.conf"), entry(1, 0))]);
        let wanted =
            Entries::from([(name("bootc_d-2-1.conf"), entry(2, 0)), (name("bootc_d-1-0.conf"), entry(1, 1))]);
        let steps = entry_changes(&current, &wanted).unwrap();
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[2], EntryChange::Remove(name("bootc_d-1-1.conf")));
    }
}
