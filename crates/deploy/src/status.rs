//! What is deployed on a target, and how it is.
//!
//! What lives here: a report, derived from records, folders, the repository and the boot partitions. What does not: any
//! change, and any judgement by this machine's own state: the caller says what is booted.
//! Invariant: nothing on the target makes this fail but a disk that does: what is foreign or broken is reported.

mod boot_loader;
mod boot_partition;
mod bootc_host;
mod disk_use;
mod health;
mod losses;
mod next_boot;
mod staged_by_bootc;

pub use boot_loader::BootLoader;
pub use boot_partition::{EntryStatus, EspStatus};
pub use bootc_host::BootcHost;
pub use disk_use::{DiskUse, measure_disk};
pub use health::Health;
pub use losses::add_losses;
pub(crate) use losses::find_lost;
pub use next_boot::{Fallback, NextBoot, NextBootHow};
pub(crate) use next_boot::{fallback_of, next_boot};
pub use staged_by_bootc::StagedByBootc;

use sealstone_boot::Rank;

use crate::{
    BootOnce, BrokenRecord, DeployError, DeploymentId, Record, State, Target, Unadopted,
    bound::{BoundCondition, bound_condition},
    documents::documents,
    entries::{menu, ranks},
    target::World,
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
    /// What the firmware has queued for the next boot alone, if the caller looked ([`boot_once`](crate::boot_once())).
    pub once: Option<BootOnce>,
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
    let esps = boot_partition::all(target, &world)?;
    let known = |name: &String| {
        let refused = world.unadopted.iter().map(|unadopted| unadopted.id);
        world
            .records
            .iter()
            .flat_map(|record| [record.id, record.state_id()])
            .chain(refused)
            .any(|id| id.to_string() == *name)
    };
    let foreign_states = world.states.iter().filter(|name| !known(name)).cloned().collect();
    let menu = menu(&world.records);
    Ok(Status {
        version: STATUS_VERSION,
        next: next_boot(&world.records, &menu, running),
        once: None,
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
