//! Boot entries, derived from records.
//!
//! What lives here: what an entry of a deployment says, and which entries there shall be. What does not: the order of
//! writing them (the boot crate), records. Invariant: entries depend on the records alone, so they can be made again.

use std::collections::BTreeMap;

use sealstone_boot::{
    BlsEntry, BootError, ComposefsArg, EntryName, Esp, Karg, Kargs, OsRelease, Rank, SEALSTONE_ID_KEY,
};

use crate::{
    DeployError, DeploymentId, Record,
    record::{State, VerityNeed},
};

/// The kernel argument that names the state folder of a deployment whose image was deployed before: only our initramfs
/// program knows it.
const STATE_KARG: &str = "composefs.state";

/// The rank of each whole deployment: the first of the menu, the second, and the rest.
pub(crate) fn ranks(records: &[Record]) -> Vec<(&Record, Rank)> {
    let mut deployed: Vec<&Record> =
        records.iter().filter(|record| record.state == State::Deployed).collect();
    deployed.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
    let rank = |(place, record): (usize, &Record)| match place {
        0 => Rank::Primary,
        1 => Rank::Secondary,
        _ => Rank::Archived(record.serial),
    };
    deployed.iter().enumerate().map(|(place, record)| (*record, rank((place, record)))).collect()
}

/// The entries that there shall be of these records.
pub(crate) fn entries(records: &[Record]) -> Result<BTreeMap<EntryName, BlsEntry>, DeployError> {
    ranks(records)
        .into_iter()
        .map(|(record, rank)| Ok((entry_name(record, rank)?, entry(record, rank)?)))
        .collect()
}

/// The name of a deployment's entry.
pub(crate) fn entry_name(record: &Record, rank: Rank) -> Result<EntryName, BootError> {
    let os = OsRelease { id: record.os.id.clone(), ..OsRelease::default() };
    let id = record.id.to_string();
    EntryName::new(&os, record.os.version.as_deref().unwrap_or(&id), rank)
}

/// The entry of a deployment.
fn entry(record: &Record, rank: Rank) -> Result<BlsEntry, DeployError> {
    let (linux, initrd) = Esp::kernel_paths(&record.kernel.sizes.digest);
    let id = record.id.to_string();
    let mut entry = BlsEntry::new();
    entry
        .set("title", &record.os.title)?
        .set("version", record.os.version.as_deref().unwrap_or(&id))?
        .set("sort-key", &rank.sort_key(&record.os.id))?
        .set(SEALSTONE_ID_KEY, &id)?
        .set("initrd", &initrd)?
        .set("options", &command_line(record)?.to_string())?
        .set("linux", &linux)?;
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

/// The deployment that a kernel command line boots, if it says so.
#[must_use]
pub fn booted(command_line: &Kargs) -> Option<DeploymentId> {
    if let Some(state) = command_line.find(STATE_KARG) {
        return state.value()?.parse().ok();
    }
    let image = ComposefsArg::find_all(command_line).ok()?.first().map(|arg| *arg.image())?;
    Some(DeploymentId::new(crate::ImageId::new(image), 0))
}
