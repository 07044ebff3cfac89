//! The steps on boot partitions: kernels, entries, and kernels that nobody needs any more.
//!
//! What lives here: which of them a set of records needs, against what is there. What does not: when in a plan they come
//! (`planner.rs`), and the order among entries (the boot crate).

use std::collections::BTreeSet;

use sealstone_boot::{BootDigest, EntryChange, EntryName, Esp, FoundEntry, entry_changes};

use super::{EntriesSection, Step};
use crate::{
    DeployError, DeploymentId, Record, State, Target,
    entries::{Entries, entries, menu},
    target::{BootWorld, World},
};

/// The kernels that are not safely on a boot partition: an entry vouches for its kernel, since it was written after the
/// kernel had been read back; a kernel without one may be half of an earlier run.
pub(super) fn kernels_to_write<'a>(
    target: &Target,
    world: &World,
    esp: usize,
    records: &'a [Record],
) -> Result<Vec<&'a Record>, DeployError> {
    let (Some(partition), Some(boot)) = (target.entry_partition(world, esp), world.esps.get(esp)) else {
        return Ok(Vec::new());
    };
    let mut wanting: Vec<&Record> = Vec::new();
    for record in records.iter().filter(|record| needs_kernel(record)) {
        let loaded = record.kernel.loaded_file();
        let stays_staged = |was: &Record| was.state == State::Staged && record.state == State::Staged;
        let is_vouched = boot.boots(&record.kernel) || world.record(&record.id).is_some_and(stays_staged);
        let is_safe = is_vouched && record.kernel.is_on(partition)?;
        if !is_safe && !wanting.iter().any(|other| other.kernel.loaded_file() == loaded) {
            wanting.push(record);
        }
    }
    Ok(wanting)
}

/// Whether a kernel of this record shall be on the boot partitions. What cannot boot gets none anew, and one
/// of bootc's is where bootc put it.
fn needs_kernel(record: &Record) -> bool {
    record.state != State::Making && record.broken.is_none() && record.kernel.of_bootc.is_none()
}

/// The kernels that may go: no record needs them, no entry that stays names them. `owned` are those of deployments that
/// go in this plan; of the others nobody can say while there are records that cannot be read.
pub(super) fn kernels_to_remove(
    world: &World,
    esp: usize,
    records: &[Record],
    owned: &BTreeSet<BootDigest>,
) -> Vec<BootDigest> {
    let Some(boot) = world.esps.get(esp) else { return Vec::new() };
    let is_used = |kernel: &BootDigest| {
        let has_pair = |record: &&Record| record.state != State::Making && !record.kernel.is_uki();
        let mut holders = records.iter().filter(has_pair);
        holders.any(|record| record.kernel.sizes.digest == *kernel)
    };
    let unclaimed = unclaimed(world, boot);
    // An entry that is not ours may boot a kernel of our naming: then it is not ours to remove.
    let is_named = |kernel: &BootDigest| {
        let (vmlinuz, initrd) = Esp::kernel_paths(kernel);
        let mut left_alone = boot.foreign_entries().chain(unclaimed.values());
        left_alone.any(|entry| entry.files().any(|file| file == vmlinuz || file == initrd))
    };
    let is_known = |kernel: &BootDigest| world.broken.is_empty() || owned.contains(kernel);
    let may_go = |kernel: &&BootDigest| !is_used(kernel) && !is_named(kernel) && is_known(kernel);
    boot.kernels.iter().filter(may_go).copied().collect()
}

/// What bootc put on a boot partition that nothing there boots any more: `entries` are those that stay of ours. What bootc
/// deployed and we did not take over is bootc's, and so is everything while bootc has something staged.
pub(super) fn bootc_files_to_remove(
    world: &World,
    esp: usize,
    records: &[Record],
    entries: &Entries,
) -> Vec<String> {
    let Some(boot) = world.esps.get(esp).filter(|_| world.broken.is_empty()) else { return Vec::new() };
    let unclaimed = unclaimed(world, boot);
    let mut named: Vec<String> =
        records.iter().flat_map(|record| record.kernel.files()).map(|(path, _)| path).collect();
    let entries = entries.values().chain(boot.foreign_entries()).chain(unclaimed.values());
    named.extend(entries.flat_map(|entry| entry.files().map(str::to_owned)));
    let is_ours = |id: &DeploymentId| world.record(id).is_some() || !world.states.contains(&id.to_string());
    let may_go = |path: &&String| {
        let id: Option<DeploymentId> = Esp::image_of_bootc_file(path).and_then(|hex| hex.parse().ok());
        let is_named = named.iter().any(|named| named.starts_with(path.as_str()));
        id.is_some_and(|id| is_ours(&id)) && !is_named
    };
    boot.bootc_files.iter().filter(may_go).cloned().collect()
}

/// The unified kernel images of deployments that go: no record that stays has them, no entry that stays names them.
pub(super) fn ukis_to_remove<'a>(
    world: &World,
    esp: usize,
    stays: &[Record],
    gone: impl Iterator<Item = &'a Record>,
) -> Vec<String> {
    let Some(boot) = world.esps.get(esp) else { return Vec::new() };
    let unclaimed = unclaimed(world, boot);
    let foreign = boot.foreign.iter().filter_map(|found| match found {
        FoundEntry::Entry(_, entry) => Some(entry),
        FoundEntry::Broken { .. } => None,
    });
    let mut named: Vec<String> = stays.iter().filter_map(|record| record.kernel.loaded_file()).collect();
    named.extend(foreign.chain(unclaimed.values()).flat_map(|entry| entry.files().map(str::to_owned)));
    let files = gone.filter(|record| record.kernel.is_uki()).filter_map(|record| record.kernel.loaded_file());
    files.filter(|file| boot.bootc_files.contains(file) && !named.contains(file)).collect()
}

/// Entries of ours whose deployment has no record that we can read, and a state folder: they may be all that boots it.
pub(crate) fn unclaimed(world: &World, boot: &BootWorld) -> Entries {
    let is_unclaimed = |text: Option<&str>| {
        let id: Option<DeploymentId> = text.and_then(|text| text.parse().ok());
        let has_record = id.is_some_and(|id| world.record(&id).is_some());
        let unread = |text: &str| world.broken.iter().any(|broken| broken.file == format!("{text}.json"));
        !has_record && text.is_some_and(|text| world.states.contains(text) || unread(text))
    };
    let found = boot.ours.iter().filter(|(_, entry)| is_unclaimed(entry.sealstone_id()));
    found.map(|(name, entry)| (name.clone(), entry.clone())).collect()
}

/// The names in `loader/entries` that are not ours to use.
pub(crate) fn taken(world: &World, boot: &BootWorld) -> BTreeSet<EntryName> {
    let foreign = boot.foreign.iter().filter_map(|found| match found {
        // One that no boot loader would boot was torn by a power cut, and makes way.
        FoundEntry::Entry(name, entry) => entry.is_bootable().then(|| name.clone()),
        FoundEntry::Broken { file, is_file: false, .. } => EntryName::parse(file).ok(),
        FoundEntry::Broken { .. } => None,
    });
    foreign.chain(unclaimed(world, boot).into_keys()).collect()
}

/// The entries of ours, without those that are left alone.
pub(super) fn claimed(world: &World, boot: &BootWorld) -> Entries {
    let unclaimed = unclaimed(world, boot);
    let ours = boot.ours.iter().filter(|(name, _)| !unclaimed.contains_key(*name));
    ours.map(|(name, entry)| (name.clone(), entry.clone())).collect()
}

/// The steps from the entries there are to those that the records want. Where no deployment can boot, all stay.
pub(super) fn entry_steps(
    target: &Target,
    world: &World,
    esp: usize,
    disk: &mut Entries,
    records: &[Record],
) -> Result<Vec<Step>, DeployError> {
    let (Some(partition), Some(boot)) = (target.entry_partition(world, esp), world.esps.get(esp)) else {
        return Ok(Vec::new());
    };
    if menu(records).is_empty() {
        return Ok(Vec::new());
    }
    let wanted = entries(records, &taken(world, boot), &world.counters(boot))?;
    let mut steps = Vec::new();
    for change in entry_changes(disk, &wanted)? {
        steps.push(match change {
            EntryChange::Write(name, entry) => {
                partition.check_entry(&name, &entry)?;
                Step::WriteEntry { esp, name: name.to_string(), text: entry.to_string() }
            }
            EntryChange::Remove(name) => Step::RemoveEntry { esp, name: name.to_string() },
        });
    }
    *disk = wanted;
    Ok(steps)
}

/// Whether the entries are those that the records want, as far as can be told; of deployments of bootc's that are not taken
/// over nobody says.
pub(crate) fn has_entries_in_step(target: &Target, world: &World) -> bool {
    let in_step = |(esp, boot): (usize, &BootWorld)| {
        let steps = entry_steps(target, world, esp, &mut claimed(world, boot), &world.records);
        steps.map_or(true, |steps| steps.is_empty())
    };
    !world.adopted.is_empty() || world.esps.iter().enumerate().all(in_step)
}

/// Adds what becomes of the entries of one boot partition.
pub(super) fn describe(before: &Entries, after: &Entries, section: &mut EntriesSection) {
    let mut add = |list: fn(&mut EntriesSection) -> &mut Vec<String>, name: &EntryName| {
        let list = list(section);
        if !list.contains(&name.to_string()) {
            list.push(name.to_string());
        }
    };
    for (name, entry) in after {
        if before.get(name) == Some(entry) {
            add(|section| &mut section.kept, name);
        } else {
            add(|section| &mut section.added, name);
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        add(|section| &mut section.removed, name);
    }
}
