//! The order in which boot entries change: what is written first, and what may be removed when (rule D9).
//!
//! What lives here: a pure function from the entries there are and those wanted to single steps. What does not: which
//! are wanted (the deploy crate's policy) and the writing (the ESP).
//! Invariants, for the state before each step and after: no name is overwritten; every deployment that has an entry
//! before and shall have one after has a whole one; some entry is there unless none was; what boots by default is what did
//! before or what shall after, never a third. A rerun from any state between comes to the same end.

use std::collections::BTreeMap;

use crate::{BlsEntry, BootError, EntryName, Tries, menu_order};

type Entries = BTreeMap<EntryName, BlsEntry>;

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
    let mut changes = Changes { current, wanted, disk: current.clone(), steps: Vec::new() };
    changes.write_free();
    changes.take_names()?;
    changes.remove_left();
    Ok(changes.steps)
}

/// Changes on the way.
struct Changes<'a> {
    current: &'a Entries,
    wanted: &'a Entries,
    /// The entries after the steps so far.
    disk: Entries,
    steps: Vec<EntryChange>,
}

impl Changes<'_> {
    fn write(&mut self, name: EntryName, entry: BlsEntry) {
        self.disk.insert(name.clone(), entry.clone());
        self.steps.push(EntryChange::Write(name, entry));
    }

    fn remove(&mut self, name: EntryName) {
        self.disk.remove(&name);
        self.steps.push(EntryChange::Remove(name));
    }

    /// D9 (2): all that has a free name, before anything goes.
    fn write_free(&mut self) {
        for (name, entry) in self.wanted {
            if !self.disk.contains_key(name) {
                self.write(name.clone(), entry.clone());
            }
        }
    }

    /// A name in use goes to its new owner when the old one has another entry, made for the purpose if need be. That is usual:
    /// where all images of a system have one version, names tell their places in the menu and nothing else.
    fn take_names(&mut self) -> Result<(), BootError> {
        for (name, entry) in self.wanted {
            let Some(holder) = self.disk.get(name).filter(|holder| *holder != entry).cloned() else {
                continue;
            };
            if !self.is_held_elsewhere(name, &holder) {
                self.bridge(name, holder)?;
            }
            self.hold_default(name)?;
            self.remove(name.clone());
            self.write(name.clone(), entry.clone());
        }
        Ok(())
    }

    /// D9 (3): only then what is left over, from the end of the menu, so that its head stays while others go.
    fn remove_left(&mut self) {
        let mut left: Vec<_> =
            self.disk.iter().filter(|(name, _)| !self.wanted.contains_key(*name)).collect();
        left.sort_by(|a, b| menu_order(*b, *a));
        let left: Vec<EntryName> = left.into_iter().map(|(name, _)| name.clone()).collect();
        for name in left {
            self.remove(name);
        }
    }

    /// Sees to it that without the entry of this name no third deployment becomes what boots by default: one that runs and was
    /// not wanted next any more, or an older one. What shall boot gets an entry that tides over.
    fn hold_default(&mut self, name: &EntryName) -> Result<(), BootError> {
        let rest = self.disk.iter().filter(|(other, _)| *other != name);
        let next = default_of(rest).map(|(_, entry)| deployment(entry));
        let Some((new_name, new)) = default_of(self.wanted) else { return Ok(()) };
        let old = default_of(self.current).map(|(_, entry)| deployment(entry));
        if next == Some(deployment(new)) || (next.is_some() && next == old) {
            return Ok(());
        }
        self.bridge(new_name, new.clone())
    }

    /// Whether the name can be taken from its holder: its deployment has another bootable entry, or, if it shall have none
    /// after all, some deployment that stays has one.
    fn is_held_elsewhere(&self, name: &EntryName, holder: &BlsEntry) -> bool {
        let stays = self.wanted.values().any(|entry| entry.sealstone_id() == holder.sealstone_id());
        let serves = |(other, entry): (&EntryName, &BlsEntry)| {
            let same = entry.sealstone_id() == holder.sealstone_id();
            other != name
                && entry.is_bootable()
                && (same || (!stays && self.wanted.get(other) == Some(entry)))
        };
        !holder.is_bootable() || self.disk.iter().any(serves)
    }

    /// Writes an entry that only tides over, for one of this name. It is counted as that is.
    fn bridge(&mut self, name: &EntryName, entry: BlsEntry) -> Result<(), BootError> {
        let is_default = |entries: &Entries| {
            default_of(entries).is_some_and(|(_, first)| deployment(first) == deployment(&entry))
        };
        let stem = if is_default(self.current) || is_default(self.wanted) { FIRST } else { OTHER };
        let name = free_name(stem, name.tries(), &entry, &self.disk)?;
        self.write(name, entry);
        Ok(())
    }
}

/// How the name begins of an entry that tides over for what boots by default. For GRUB, which sorts by names, descending, it is
/// before those of bootc's scheme.
const FIRST: &str = "bridge";
/// The same of any other, which is behind them.
const OTHER: &str = "archived_bridge";

/// What boots by default of these.
fn default_of<'a>(
    entries: impl IntoIterator<Item = (&'a EntryName, &'a BlsEntry)>,
) -> Option<(&'a EntryName, &'a BlsEntry)> {
    entries.into_iter().filter(|(_, entry)| entry.is_bootable()).min_by(|a, b| menu_order(*a, *b))
}

/// What tells deployments apart: of an entry that is not ours, its text.
fn deployment(entry: &BlsEntry) -> String {
    entry.sealstone_id().map_or_else(|| entry.to_string(), str::to_owned)
}

/// A name for an entry that only tides over.
fn free_name(
    stem: &str,
    tries: Option<Tries>,
    entry: &BlsEntry,
    disk: &Entries,
) -> Result<EntryName, BootError> {
    let id = entry.sealstone_id().unwrap_or("foreign");
    // An id of SHA-512 leaves room; a longer one is cut, and the number keeps names apart.
    let id: String = id.chars().take(160).collect();
    let mut number = 0_u32;
    loop {
        let plain = EntryName::parse(&format!("{stem}_{id}_{number}.conf"))?;
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
    use crate::{OsRelease, Rank, SEALSTONE_ID_KEY};

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

    /// The entries of a menu of deployments: by bootc's scheme, in which names clash where versions are the same.
    fn menu_of(deployments: &[u8], versions: &[&str; 4]) -> Entries {
        let os = OsRelease { id: "debian".to_owned(), ..OsRelease::default() };
        let ranks = [Rank::Primary, Rank::Secondary].into_iter().map(Some).chain(std::iter::repeat(None));
        let with_rank = deployments.iter().zip(ranks);
        with_rank
            .map(|(id, rank)| {
                let rank = rank.unwrap_or(Rank::Archived(u64::from(*id)));
                let version = versions[usize::from(*id)];
                let mut entry = entry(*id, 0);
                entry.set("version", version).unwrap();
                entry.set("sort-key", &rank.sort_key(&os.id)).unwrap();
                (EntryName::new(&os, version, rank).unwrap(), entry)
            })
            .collect()
    }

    fn menu() -> impl Strategy<Value = Vec<u8>> {
        Just(vec![0, 1, 2, 3])
            .prop_shuffle()
            .prop_flat_map(|all| (1..=4_usize).prop_map(move |count| all[..count].to_vec()))
    }

    fn versions() -> impl Strategy<Value = [&'static str; 4]> {
        prop_oneof![
            Just(["13"; 4]),
            proptest::array::uniform4(prop_oneof![Just("12"), Just("13"), Just("13.1")]),
        ]
    }

    fn first(entries: &Entries) -> Option<String> {
        default_of(entries).map(|(_, entry)| deployment(entry))
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
        fn what_boots_by_default_is_what_did_or_what_shall_at_every_step(
            versions in versions(), menus in [menu(), menu(), menu()], cut in 0..20_usize,
        ) {
            let [before, begun, wanted] = menus.map(|menu| menu_of(&menu, &versions));
            // What a run left that was cut off, if it was.
            let steps = entry_changes(&before, &begun).unwrap();
            let states = states(&before, &steps);
            let current = states.get(cut).unwrap_or(&before).clone();
            let may_boot = [first(&current), first(&wanted)];
            let steps = entry_changes(&current, &wanted).unwrap();
            for state in self::states(&current, &steps) {
                prop_assert!(may_boot.contains(&first(&state)), "{may_boot:?}, and not in {state:?}");
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

    #[test]
    fn what_waits_for_its_first_boot_makes_way_for_the_new_one_and_not_for_the_one_that_runs() {
        let menu = |menu: &[u8]| menu_of(menu, &["13"; 4]);
        // 2 waits, 1 runs; 3 comes, and 1 stays second.
        let (current, wanted) = (menu(&[2, 1]), menu(&[3, 1, 2]));
        let steps = entry_changes(&current, &wanted).unwrap();
        let boots: Vec<_> = states(&current, &steps).iter().map(|state| first(state).unwrap()).collect();
        assert_eq!(boots, ["id2", "id2", "id3", "id3", "id3", "id3"]);
        // GRUB reads names: what tides over for what boots is before bootc's.
        let bridge = steps.iter().find_map(|step| match step {
            EntryChange::Write(name, _) if name.as_str().starts_with(FIRST) => Some(name),
            _ => None,
        });
        assert_eq!(bridge.unwrap().as_str(), "bridge_id3_0.conf");
    }
}
