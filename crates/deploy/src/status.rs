//! What is deployed on a target, and how it is.
//!
//! What lives here: a report, derived from records, folders, the repository and the boot partitions. What does not: any
//! change, and any judgement by this machine's own state: the caller says what is booted.
//! Invariant: nothing on the target makes this fail but a disk that does: what is foreign or broken is reported.

mod boot_loader;
mod bootc_host;
mod disk_use;
mod health;
mod next_boot;
mod staged_by_bootc;

pub use boot_loader::BootLoader;
pub use bootc_host::BootcHost;
pub use disk_use::{DiskUse, measure_disk};
pub use health::Health;
pub use next_boot::{Fallback, NextBoot, NextBootHow};
pub(crate) use next_boot::{fallback_of, next_boot};
pub use staged_by_bootc::StagedByBootc;

use sealstone_boot::{FoundEntry, Rank};

use crate::{
    BrokenRecord, DeployError, DeploymentId, Record, State, Target, Unadopted,
    bound::{BoundCondition, bound_condition},
    documents::documents,
    entries::{entries, menu, ranks},
    plan::{taken, unclaimed},
    target::{ADOPTED_KEY, BootWorld, World},
};

/// The version of the report in JSON.
const STATUS_VERSION: u32 = 1;

/// What is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The version of this format.
    pub version: u32,
    /// What boots next, if anything does.
    pub next: Option<NextBoot>,
    /// What should have booted, and did not, as far as that is known.
    pub fallback: Option<Fallback>,
    /// The boot loader, as far as the files tell.
    pub boot_loader: BootLoader,
    /// The deployments, in the order of the menu; those that are being made come last.
    pub deployments: Vec<DeploymentStatus>,
    /// The boot partitions.
    pub esps: Vec<EspStatus>,
    /// Files among the records that are none.
    pub broken_records: Vec<BrokenRecord>,
    /// Deployments of bootc's that cannot be taken over.
    pub unadopted: Vec<Unadopted>,
    /// What bootc has staged, if the caller found its word on that.
    pub staged_by_bootc: Option<StagedByBootc>,
    /// Folders of state that no record is about.
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
    /// Whether it is bootc's, and not taken over yet.
    pub adopted: bool,
    /// Whether it can boot.
    pub health: Health,
    /// Whether its bound images are there; none if it binds none.
    #[serde(rename = "bound_condition", skip_serializing_if = "Option::is_none")]
    pub bound: Option<BoundCondition>,
    /// What it takes, if that was measured ([`measure_disk`]).
    pub disk: Option<DiskUse>,
    /// The architecture that the image's configuration states, by Go's name.
    pub architecture: Option<String>,
    /// When the image was made, RFC 3339, as its configuration has it.
    pub created: Option<String>,
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
    /// What is wrong with it: `missing`, `unwanted`, `differs`, `without-record`, `of-bootc`; nothing if all is well.
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
        let health = health::health(target, &world, record, rank)?;
        let (architecture, created) = origin_of(target, record);
        deployments.push(DeploymentStatus {
            record: record.clone(),
            place,
            booted: running == Some(&record.id),
            adopted: world.adopted.contains(&record.id),
            health,
            bound: bound_condition(&target.sysroot, &target.repository, record)?,
            disk: None,
            architecture,
            created,
        });
    }
    deployments.sort_by_key(|deployment| deployment.record.state != State::Deployed);
    let mut esps = Vec::new();
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        let place = esp.name();
        let free = esp.space()?.available;
        esps.push(EspStatus { place, free, entries: entry_status(&world, boot), foreign: foreign(boot) });
    }
    let known = |name: &String| {
        let refused = world.unadopted.iter().map(|unadopted| unadopted.id);
        world.records.iter().map(|record| record.id).chain(refused).any(|id| id.to_string() == *name)
    };
    let foreign_states = world.states.iter().filter(|name| !known(name)).cloned().collect();
    let menu = menu(&world.records);
    Ok(Status {
        version: STATUS_VERSION,
        next: next_boot(&world.records, &menu, running),
        fallback: fallback_of(&world, running),
        boot_loader: BootLoader::of(target)?,
        deployments,
        esps,
        broken_records: world.broken,
        unadopted: world.unadopted,
        staged_by_bootc: None,
        foreign_states,
    })
}

/// Architecture and time of an image, if its documents are there and tell.
fn origin_of(target: &Target, record: &Record) -> (Option<String>, Option<String>) {
    let Ok(found) = documents(&target.repository, &record.image.manifest) else { return (None, None) };
    let architecture = found.config.platform.map(|platform| platform.architecture().to_owned());
    (architecture, found.config.created)
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
                _ if entry.get(ADOPTED_KEY).is_some() => Some("of-bootc"),
                None if unclaimed.contains_key(name) => Some("without-record"),
                None => Some("unwanted"),
                Some(wanted) if wanted.to_string() != entry.to_string() => Some("differs"),
                Some(_) => None,
            };
            EntryStatus { name: name.to_string(), wrong }
        })
        .collect();
    let of_bootc = |id: Option<&str>| {
        let bootcs = boot.ours.values().filter(|entry| entry.get(ADOPTED_KEY).is_some());
        bootcs.into_iter().any(|entry| entry.sealstone_id() == id)
    };
    // What bootc's entry boots is bootable, until ours takes its place.
    let missing = wanted
        .iter()
        .filter(|(name, entry)| !boot.ours.contains_key(*name) && !of_bootc(entry.sealstone_id()))
        .map(|(name, _)| name);
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
