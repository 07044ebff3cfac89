//! Boot entries, derived from records.
//!
//! What lives here: what an entry of a deployment says, and which entries there shall be. What does not: the order of
//! writing them (the boot crate), records. Invariant: entries depend on the records and on names that others hold, so
//! they can be made again.

use std::collections::{BTreeMap, BTreeSet};

use sealstone_boot::{
    BlsEntry, BootError, ComposefsArg, EntryName, Esp, Karg, Kargs, OsRelease, Rank, SEALSTONE_ID_KEY, Tries,
};

use crate::{
    DeployError, DeploymentId, Record,
    record::{BootcKernel, State, VerityNeed},
};

/// The kernel argument that names the state folder of a deployment whose image was deployed before: only our initramfs
/// program knows it.
pub(crate) const STATE_KARG: &str = "composefs.state";

/// Entries by their names.
pub(crate) type Entries = BTreeMap<EntryName, BlsEntry>;

/// How far the boot loader has counted, by deployment.
pub(crate) type Counters = BTreeMap<DeploymentId, Tries>;

/// The deployments of the menu in its order: whole ones that can boot.
pub(crate) fn menu(records: &[Record]) -> Vec<&Record> {
    let in_menu = |record: &&Record| record.state == State::Deployed && record.broken.is_none();
    let mut deployed: Vec<&Record> = records.iter().filter(in_menu).collect();
    deployed.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
    deployed
}

/// The rank of each deployment of the menu: the first, the second, and the rest.
pub(crate) fn ranks(records: &[Record]) -> Vec<(&Record, Rank)> {
    let rank = |(place, record): (usize, &Record)| match place {
        0 => Rank::Primary,
        1 => Rank::Secondary,
        _ => Rank::Archived(record.serial),
    };
    menu(records).into_iter().enumerate().map(|(place, record)| (record, rank((place, record)))).collect()
}

/// The entries that there shall be of these records. Names that others have are left to them. One that is counted has the
/// boot loader's count in its name, which is the boot loader's to change.
pub(crate) fn entries(
    records: &[Record],
    taken: &BTreeSet<EntryName>,
    counters: &Counters,
) -> Result<Entries, DeployError> {
    let mut entries = Entries::new();
    // Without a counter, since a boot loader takes names that differ in it alone for one entry.
    let mut used: BTreeSet<EntryName> = taken.iter().map(EntryName::plain).collect::<Result<_, _>>()?;
    for (record, rank) in ranks(records) {
        let mut name = entry_name(record, rank, 0)?;
        let mut number = 0;
        while !used.insert(name.clone()) {
            number += 1;
            name = entry_name(record, rank, number)?;
        }
        if let Some(tries) = record.tries {
            name = name.counted(counters.get(&record.id).copied().unwrap_or(Tries::new(tries)))?;
        }
        entries.insert(name, entry(record, rank)?);
    }
    Ok(entries)
}

/// The name of a deployment's entry; from 1 on, one for when the name of 0 is taken.
fn entry_name(record: &Record, rank: Rank, number: u32) -> Result<EntryName, BootError> {
    let os = OsRelease { id: record.os.id.clone(), ..OsRelease::default() };
    let id = record.id.to_string();
    let version = record.os.version.as_deref().unwrap_or(&id);
    match number {
        0 => EntryName::new(&os, version, rank),
        _ => EntryName::new(&os, &format!("{version}.{}.{number}", record.serial), rank),
    }
}

/// The entry of a deployment.
fn entry(record: &Record, rank: Rank) -> Result<BlsEntry, DeployError> {
    let id = record.id.to_string();
    let mut entry = BlsEntry::new();
    entry
        .set("title", &record.os.title)?
        .set("version", record.os.version.as_deref().unwrap_or(&id))?
        .set("sort-key", &rank.sort_key(&record.os.id))?
        .set(SEALSTONE_ID_KEY, &id)?;
    if let Some(uki) = &record.kernel.uki {
        // Every systemd-boot knows `efi`; those before 258 pass over an entry with `uki`.
        entry.set("efi", &uki.file)?;
        return Ok(entry);
    }
    let (linux, initrd) = match &record.kernel.of_bootc {
        Some(BootcKernel::Uki { file, key }) => {
            entry.set(key, file)?;
            return Ok(entry);
        }
        Some(BootcKernel::Files { linux, initrd }) => (linux.clone(), initrd.clone()),
        None => Esp::kernel_paths(&record.kernel.sizes.digest),
    };
    entry.set("initrd", &initrd)?.set("options", &command_line(record)?.to_string())?.set("linux", &linux)?;
    Ok(entry)
}

/// The whole kernel command line of a deployment.
pub(crate) fn command_line(record: &Record) -> Result<Kargs, BootError> {
    let mut line: Kargs = record.kargs.iter().map(|recorded| recorded.karg.clone()).collect();
    let optional = record.image.verity == VerityNeed::Optional;
    line.push(ComposefsArg::for_image(*record.image.id.object(), optional).to_karg()?);
    if record.id.copy() > 0 {
        line.push(Karg::new(STATE_KARG, Some(&record.id.to_string()))?);
    }
    Ok(line)
}

/// The deployment that a kernel command line boots, if it says so: of several images that it names, the first.
#[must_use]
pub fn booted(command_line: &Kargs) -> Option<DeploymentId> {
    booted_among(command_line, |_| true)
}

/// The deployment that a kernel command line boots: of several images that it names, as a unified kernel image may by several
/// formats and hashes, the first that is there.
pub fn booted_among(
    command_line: &Kargs,
    mut is_there: impl FnMut(&DeploymentId) -> bool,
) -> Option<DeploymentId> {
    if let Some(state) = command_line.find(STATE_KARG) {
        return state.value()?.parse().ok();
    }
    let args = ComposefsArg::find_all(command_line).ok()?;
    let named = |arg: &ComposefsArg| DeploymentId::new(crate::ImageId::new(*arg.image()), 0);
    let first = args.first().map(named);
    args.iter().map(named).find(|id| is_there(id)).or(first)
}
