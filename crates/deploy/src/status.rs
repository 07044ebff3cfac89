//! What is deployed on a target, and how it is.
//!
//! What lives here: a report, derived from records, folders, the repository and the boot partitions. What does not: any
//! change, and any judgement by this machine's own state: the caller says what is booted.
//! Invariant: nothing on the target makes this fail but a disk that does: what is foreign or broken is reported.

use sealstone_boot::{FoundEntry, Rank};
use sealstone_store::disk::FileType;

use crate::{
    BrokenRecord, DeployError, DeploymentId, Record, State, Target,
    entries::{entries, ranks},
    plan::{taken, unclaimed},
    target::{BootWorld, World, image_fault},
};

/// The version of the report in JSON.
const STATUS_VERSION: u32 = 1;

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The version of this format.
    pub version: u32,
    /// The deployments, in the order of the menu; those that are being made come last.
    pub deployments: Vec<DeploymentStatus>,
    /// The boot partitions.
    pub esps: Vec<EspStatus>,
    /// Files among the records that are none.
    pub broken_records: Vec<BrokenRecord>,
    /// Folders of state that no record is about, such as those of bootc.
    pub foreign_states: Vec<String>,
}

/// A deployment and how it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeploymentStatus {
    /// Its record.
    #[serde(flatten)]
    pub record: Record,
    /// Its place in the menu, if it is whole.
    pub place: Option<Place>,
    /// Whether it runs, as the caller says.
    pub booted: bool,
    /// Whether it can boot.
    pub health: Health,
}

/// A place in the boot menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// What boots by default.
    Default,
    /// What a rollback boots.
    Rollback,
    /// Further down.
    Other,
}

/// Whether a deployment can boot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "reasons")]
pub enum Health {
    /// All that it needs is there.
    Good,
    /// Something is missing or wrong.
    Broken(Vec<String>),
}

impl Health {
    /// Whether all is there.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }
}

/// A boot partition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EspStatus {
    /// Where it is.
    pub place: String,
    /// What is free, in bytes.
    pub free: u64,
    /// Our entries, by file name: with a reason where one is not what its record wants.
    pub entries: Vec<EntryStatus>,
    /// Other entries: file name, and the title or why it is none.
    pub foreign: Vec<(String, String)>,
}

/// A boot entry of ours.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EntryStatus {
    /// The file's name.
    pub name: String,
    /// What is wrong with it: `missing`, `unwanted`, `differs`, `without-record`; nothing if all is well.
    pub wrong: Option<&'static str>,
}

/// Reports what is on a target. `running` is the deployment that runs, which only the caller can know.
///
/// # Errors
/// When the disk fails.
pub fn status(target: &Target, running: Option<&DeploymentId>) -> Result<Status, DeployError> {
    let world = World::read(target)?;
    let ranked = ranks(&world.records);
    let rank_of =
        |record: &Record| ranked.iter().find(|(other, _)| other.id == record.id).map(|(_, rank)| *rank);
    let mut deployments = Vec::new();
    for record in &world.records {
        let rank = rank_of(record);
        let place = rank.map(|rank| match rank {
            Rank::Primary => Place::Default,
            Rank::Secondary => Place::Rollback,
            Rank::Archived(_) => Place::Other,
        });
        let health = health(target, &world, record, rank)?;
        let booted = running == Some(&record.id);
        deployments.push(DeploymentStatus { record: record.clone(), place, booted, health });
    }
    deployments.sort_by_key(|deployment| deployment.record.state != State::Deployed);
    let mut esps = Vec::new();
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        let place = esp.name();
        let free = esp.space()?.available;
        esps.push(EspStatus { place, free, entries: entry_status(&world, boot), foreign: foreign(boot) });
    }
    let known = |name: &String| world.records.iter().any(|record| record.id.to_string() == *name);
    let foreign_states = world.states.iter().filter(|name| !known(name)).cloned().collect();
    Ok(Status { version: STATUS_VERSION, deployments, esps, broken_records: world.broken, foreign_states })
}

/// Our entries on a boot partition, against those that the records want.
fn entry_status(world: &World, boot: &BootWorld) -> Vec<EntryStatus> {
    // A record whose entry cannot even be named is told by its health.
    let wanted = entries(&world.records, &taken(world, boot)).unwrap_or_default();
    let unclaimed = unclaimed(world, boot);
    let mut found: Vec<EntryStatus> = boot
        .ours
        .iter()
        .map(|(name, entry)| {
            let wrong = match wanted.get(name) {
                None if unclaimed.contains_key(name) => Some("without-record"),
                None => Some("unwanted"),
                Some(wanted) if wanted.to_string() != entry.to_string() => Some("differs"),
                Some(_) => None,
            };
            EntryStatus { name: name.to_string(), wrong }
        })
        .collect();
    let missing = wanted.keys().filter(|name| !boot.ours.contains_key(*name));
    found.extend(missing.map(|name| EntryStatus { name: name.to_string(), wrong: Some("missing") }));
    found
}

fn foreign(boot: &BootWorld) -> Vec<(String, String)> {
    let describe = |found: &FoundEntry| match found {
        FoundEntry::Entry(name, entry) => (name.to_string(), entry.title().unwrap_or_default().to_owned()),
        FoundEntry::Broken { file, reason, .. } => (file.clone(), reason.clone()),
    };
    boot.foreign.iter().map(describe).collect()
}

/// What a deployment lacks.
fn health(
    target: &Target,
    world: &World,
    record: &Record,
    rank: Option<Rank>,
) -> Result<Health, DeployError> {
    let mut reasons = Vec::new();
    if let Some(reason) = image_fault(&target.repository, record) {
        reasons.push(reason);
    }
    reasons.extend(record.broken.clone().filter(|reason| !reasons.contains(reason)));
    if record.state == State::Making {
        reasons.push("it was begun, and not ended".into());
        return Ok(Health::Broken(reasons));
    }
    let state = format!("{}/{}", crate::sysroot::DEPLOY, record.id);
    for name in ["etc", "var"] {
        let there =
            sealstone_store::Optional::optional(target.sysroot.dir().metadata(format!("{state}/{name}")))?;
        let kind = if name == "etc" { FileType::Directory } else { FileType::Symlink };
        if there.is_none_or(|there| there.kind != kind) {
            reasons.push(format!("its state has no {name}"));
        }
    }
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        if !esp.has_kernel(&record.kernel.sizes)? {
            reasons.push(format!("its kernel is not on {}", esp.name()));
        }
        let id = record.id.to_string();
        let has_entry = boot.ours.values().any(|entry| entry.sealstone_id() == Some(&id));
        if rank.is_some() && !has_entry {
            reasons.push(format!("it has no entry on {}", esp.name()));
        }
    }
    Ok(if reasons.is_empty() { Health::Good } else { Health::Broken(reasons) })
}
