//! How each boot partition is: its boot loader, its room, its entries against those that the records want, and what the others
//! have that it lacks.
//!
//! What lives here: the report. What does not: the mending (`store reconcile`).

use sealstone_boot::{BootRole, Esp, FoundEntry, FoundLoader, Tries, compare_versions};

use crate::{
    DeployError, Target,
    entries::entries,
    plan::{taken, unclaimed},
    target::{ADOPTED_KEY, BootWorld, World},
};

/// A boot partition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EspStatus {
    /// Where it is.
    pub place: String,
    /// What it is for.
    pub role: BootRole,
    /// Why it cannot be read, if it cannot: then nothing else is known of it.
    pub failed: Option<String>,
    /// All that there is, in bytes.
    pub size: u64,
    /// What is free, in bytes.
    pub free: u64,
    /// The programs in the places of boot loaders.
    pub loaders: Vec<FoundLoader>,
    /// Our entries, by file name: with a reason where one is not what its record wants.
    pub entries: Vec<EntryStatus>,
    /// Other entries: file name, and the title or why it is none.
    pub foreign: Vec<(String, String)>,
    /// What it lacks that others have, or that the records want, as ends of a sentence; nothing if it is in step.
    pub drift: Vec<String>,
}

/// A boot entry of ours.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EntryStatus {
    /// The file's name.
    pub name: String,
    /// The deployment that it boots, by its id.
    pub deployment: Option<String>,
    /// How far the boot loader has counted, if it counts.
    pub tries: Option<Tries>,
    /// What is wrong with it: `missing`, `unwanted`, `differs`, `without-record`, `of-bootc`; nothing if all is well.
    pub wrong: Option<&'static str>,
}

/// All boot partitions.
pub(super) fn all(target: &Target, world: &World) -> Result<Vec<EspStatus>, DeployError> {
    let mut all = Vec::new();
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        all.push(one(target, world, esp, boot)?);
    }
    Ok(all)
}

fn one(target: &Target, world: &World, esp: &Esp, boot: &BootWorld) -> Result<EspStatus, DeployError> {
    let (place, role) = (esp.name(), esp.role());
    let mut status = EspStatus {
        place,
        role,
        failed: boot.failed.clone(),
        size: 0,
        free: 0,
        loaders: boot.loaders.clone(),
        entries: Vec::new(),
        foreign: foreign(boot),
        drift: Vec::new(),
    };
    if boot.failed.is_some() {
        return Ok(status);
    }
    let space = esp.space()?;
    (status.size, status.free) = (space.total, space.available);
    if role.has_entries() {
        status.entries = entry_status(world, boot);
        for entry in status.entries.iter().filter(|entry| entry.wrong == Some("missing")) {
            status.drift.push(format!("it has no entry {}", entry.name));
        }
        for record in &world.records {
            let is_wanted = record.broken.is_none() && record.state != crate::State::Making;
            if is_wanted && !record.kernel.is_on(esp)? {
                status.drift.push(format!("it lacks the kernel of {}", record.id));
            }
        }
    }
    if role.has_loader() {
        status.drift.extend(loader_drift(target, world, boot));
    }
    Ok(status)
}

/// What of a boot loader others have, or have newer.
fn loader_drift(target: &Target, world: &World, boot: &BootWorld) -> Vec<String> {
    let others =
        target.esps.iter().zip(&world.esps).filter(|(esp, other)| esp.role().has_loader() && *other != boot);
    let mut drift = Vec::new();
    for (esp, other) in others {
        for theirs in other.loaders.iter().filter(|found| found.version.is_some()) {
            let version = theirs.version.as_deref().unwrap_or_default();
            let ours = boot.loaders.iter().find(|found| found.path.eq_ignore_ascii_case(&theirs.path));
            let is_older = |ours: &FoundLoader| {
                ours.version.as_deref().is_some_and(|ours| compare_versions(ours, version).is_lt())
            };
            match ours {
                None => drift.push(format!("it has no {}, as {} has", theirs.path, esp.name())),
                Some(ours) if is_older(ours) => {
                    drift.push(format!("its {} is older than the one of {}", theirs.path, esp.name()));
                }
                Some(_) => {}
            }
        }
    }
    drift
}

/// Our entries on a boot partition, against those that the records want.
fn entry_status(world: &World, boot: &BootWorld) -> Vec<EntryStatus> {
    // A record whose entry cannot even be named is told by its health.
    let wanted = entries(&world.records, &taken(world, boot), &world.counters(boot)).unwrap_or_default();
    let unclaimed = unclaimed(world, boot);
    let mut found: Vec<EntryStatus> = boot
        .ours
        .iter()
        .map(|(name, entry)| {
            let wrong = match wanted.get(name) {
                _ if entry.get(ADOPTED_KEY).is_some() => Some("of-bootc"),
                None if unclaimed.contains_key(name) => Some("without-record"),
                None => Some("unwanted"),
                Some(wanted) if wanted.to_string() != entry.to_string() => Some("differs"),
                Some(_) => None,
            };
            let deployment = entry.sealstone_id().map(str::to_owned);
            EntryStatus { name: name.to_string(), deployment, tries: name.tries(), wrong }
        })
        .collect();
    let of_bootc = |id: Option<&str>| {
        let bootcs = boot.ours.values().filter(|entry| entry.get(ADOPTED_KEY).is_some());
        bootcs.into_iter().any(|entry| entry.sealstone_id() == id)
    };
    // What bootc's entry boots is bootable, until ours takes its place.
    let missing = wanted
        .iter()
        .filter(|(name, entry)| !boot.ours.contains_key(*name) && !of_bootc(entry.sealstone_id()));
    found.extend(missing.map(|(name, entry)| EntryStatus {
        name: name.to_string(),
        deployment: entry.sealstone_id().map(str::to_owned),
        tries: None,
        wrong: Some("missing"),
    }));
    found
}

fn foreign(boot: &BootWorld) -> Vec<(String, String)> {
    let describe = |found: &FoundEntry| match found {
        FoundEntry::Entry(name, entry) => (name.to_string(), entry.title().unwrap_or_default().to_owned()),
        FoundEntry::Broken { file, reason, .. } => (file.clone(), reason.clone()),
    };
    boot.foreign.iter().map(describe).collect()
}
