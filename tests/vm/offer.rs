//! What a boot partition offers, read from its bytes, and what it may offer while something changes it.

use std::collections::BTreeMap;

use sealstone::boot::{BlsEntry, EntryName, menu_order};

use crate::cut_states::State;
use crate::fat::{Fat, Fault, Tree};

/// The names of boot loaders, which cannot change.
pub const LOADERS: [&str; 2] = ["/EFI/BOOT/BOOTX64.EFI", "/EFI/systemd/systemd-bootx64.efi"];

/// Where folders come to be, beside which nobody has a fault.
pub const UNSEEN: &str = "/NEW.D";

/// What may be there while a run lasts: the files before and after it, and what boots first.
pub struct Expected {
    files: BTreeMap<String, Vec<Vec<u8>>>,
    first: Vec<String>,
}

impl Expected {
    pub fn between(before: &[u8], after: &[u8]) -> Self {
        let mut expected = Self { files: BTreeMap::new(), first: Vec::new() };
        for bytes in [before, after] {
            let fat = Fat::new(bytes);
            let tree = fat.tree();
            assert_eq!(tree.faults, [], "before or after the run");
            for (path, file) in &tree.files {
                expected.files.entry(path.to_ascii_lowercase()).or_default().push(fat.content(file));
            }
            expected.first.push(id_of(menu(&fat, &tree).first().expect("something boots")));
        }
        expected
    }
}

/// What the states were like.
#[derive(Debug, Default)]
pub struct Found {
    pub states: usize,
    pub broken: Vec<String>,
    /// How many states have a fault, all of them in what nobody looks at.
    pub faults: BTreeMap<Fault, usize>,
}

impl Found {
    /// Whether it has a fault.
    pub fn look(&mut self, state: &State<'_>, expected: &Expected) -> bool {
        self.states += 1;
        let fat = Fat::new(state.bytes);
        let tree = fat.tree();
        let menu = menu(&fat, &tree);
        match menu.first().map(id_of) {
            Some(first) if expected.first.contains(&first) => {}
            first => self.broken.push(format!("{}: {first:?} boots", state.name)),
        }
        let loaders = LOADERS.map(str::to_owned);
        for path in menu.iter().flat_map(files_of).chain(loaders) {
            let there = tree.files.get(&path).map(|file| fat.content(file));
            let whole = expected.files.get(&path.to_ascii_lowercase());
            if !there.is_some_and(|there| whole.is_some_and(|whole| whole.contains(&there))) {
                self.broken.push(format!("{}: {path} is not whole", state.name));
            }
        }
        for (path, fault) in &tree.faults {
            if !path.starts_with(UNSEEN) {
                self.broken.push(format!("{}: {path}: {fault:?}", state.name));
            }
            *self.faults.entry(*fault).or_default() += 1;
        }
        !tree.faults.is_empty()
    }
}

/// What a boot loader offers, the first one by default: whole entries whose kernel is there.
fn menu(fat: &Fat<'_>, tree: &Tree) -> Vec<BlsEntry> {
    let entries = tree.files.iter().filter_map(|(path, file)| {
        let name = EntryName::parse(path.strip_prefix("/loader/entries/")?).ok()?;
        let entry: BlsEntry = String::from_utf8(fat.content(file)).ok()?.parse().ok()?;
        let kernel = files_of(&entry).into_iter().next()?;
        tree.files.contains_key(&kernel).then_some((name, entry))
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|(name, entry), (other, next)| menu_order((name, entry), (other, next)));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The deployment of an entry.
fn id_of(entry: &BlsEntry) -> String {
    entry.sealstone_id().expect("an entry of ours").to_owned()
}

/// The files that an entry names, its kernel first.
fn files_of(entry: &BlsEntry) -> Vec<String> {
    ["linux", "uki", "efi", "initrd"].iter().filter_map(|key| entry.get(key)).map(str::to_owned).collect()
}
