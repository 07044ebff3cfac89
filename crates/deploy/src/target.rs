//! What a deployment is made on: a sysroot, its repository and its boot partitions.
//!
//! What lives here: the three together, and what is on them now ([`World`]). What does not: any change.

use std::collections::{BTreeMap, BTreeSet};

use sealstone_boot::{
    BlsEntry, BootDigest, EntryName, Esp, FoundEntry, FoundLoader, SEALSTONE_ID_KEY, Tries,
};
use sealstone_store::{Algorithm, Optional, Repository, verity};

use crate::{
    BrokenRecord, DeployError, DeployedKernel, DeploymentId, Keeping, Record, Sysroot,
    adopt::{Adoption, Unadopted, adopt, deployment_of},
    entries::Counters,
    sysroot,
};

/// The sysroot's own boot folder.
const BOOT: &str = "boot";

/// The key that an entry of bootc's has in memory, or as a bridge while it is replaced.
pub(crate) const ADOPTED_KEY: &str = "x-sealstone-adopted";

/// Where deployments go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The physical root.
    pub sysroot: Sysroot,
    /// The repository below it.
    pub repository: Repository,
    /// Every boot partition: each with kernels and entries gets the same ([`sealstone_boot::BootRole`] says which does).
    pub esps: Vec<Esp>,
}

/// What is on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// The records, first what boots by default.
    pub records: Vec<Record>,
    /// Those among them that are derived from what bootc left, and not written yet.
    pub adopted: BTreeSet<DeploymentId>,
    /// Deployments of bootc's that cannot be taken over.
    pub unadopted: Vec<Unadopted>,
    pub broken: Vec<BrokenRecord>,
    /// What the repository lacks of these deployments.
    pub losses: BTreeMap<DeploymentId, Loss>,
    /// The folders of state, by their names.
    pub states: BTreeSet<String>,
    /// Whether there is a shared `/var`.
    pub has_var: bool,
    /// What is on each boot partition.
    pub esps: Vec<BootWorld>,
    /// The entries in the sysroot's own `/boot`, which GRUB reads.
    pub grub: Vec<FoundEntry>,
}

/// What the repository lacks of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loss {
    /// The image itself, so that it cannot boot.
    Image(String),
    /// Streams beside it, by their names: it boots.
    Streams(Vec<String>),
}

/// What is on a boot partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BootWorld {
    /// Why it cannot be read; then nothing else is known of it, and nothing is written to it.
    pub failed: Option<String>,
    /// The programs in the places of boot loaders.
    pub loaders: Vec<FoundLoader>,
    /// Entries with our key.
    pub ours: BTreeMap<EntryName, BlsEntry>,
    /// All others: name, title, or why it is none.
    pub foreign: Vec<FoundEntry>,
    pub kernels: Vec<BootDigest>,
    /// Folders of kernels and unified kernel images that bootc put there; none while it has something staged.
    pub bootc_files: Vec<String>,
}

impl Target {
    /// A boot partition that has kernels and entries and can be read.
    pub(crate) fn entry_partition(&self, world: &World, number: usize) -> Option<&Esp> {
        self.esps.get(number).filter(|esp| esp.role().has_entries() && world.is_usable(number))
    }

    /// The boot partitions that have kernels and entries and can be read.
    pub(crate) fn entry_partitions<'a>(
        &'a self,
        world: &'a World,
    ) -> impl Iterator<Item = (&'a Esp, &'a BootWorld)> {
        let usable = |(esp, boot): &(&Esp, &BootWorld)| esp.role().has_entries() && boot.failed.is_none();
        self.esps.iter().zip(&world.esps).filter(usable)
    }
}

impl World {
    /// Reads all of it. What is damaged is noted, never fatal.
    pub(crate) fn read(target: &Target) -> Result<Self, DeployError> {
        let mut world = Self::of_names(target)?;
        for record in &world.records {
            if let Some(loss) = loss(&target.repository, record)? {
                world.losses.insert(record.id, loss);
            }
        }
        Ok(world)
    }

    /// Reads it without what the repository lacks: no loss is known, which is no matter to whoever only looks at records
    /// and entries.
    pub(crate) fn of_names(target: &Target) -> Result<Self, DeployError> {
        let root = target.sysroot.dir();
        let (records, broken) = target.sysroot.records()?;
        let mut states = BTreeSet::new();
        if let Some(folder) = root.open_dir(sysroot::DEPLOY).optional()? {
            states.extend(
                folder.read_dir()?.into_iter().map(|entry| entry.name.to_string_lossy().into_owned()),
            );
        }
        let has_var = root.metadata(format!("{}/{}", sysroot::OS, sysroot::VAR)).optional()?.is_some();
        let esps = boot_worlds(target)?;
        let grub = match root.open_dir(BOOT).optional()? {
            Some(boot) => Esp::new(boot).entries()?,
            None => Vec::new(),
        };
        let (adopted, unadopted, losses) = Default::default();
        let mut world = Self { records, adopted, unadopted, broken, losses, states, has_var, esps, grub };
        world.adopt(target)?;
        world.note_blessed();
        Ok(world)
    }

    /// Takes in the record of a deployment that had lost its own, as if it had been taken over: it is to be written.
    pub(crate) fn add_rebuilt(&mut self, target: &Target, record: Record) -> Result<(), DeployError> {
        if let Some(loss) = loss(&target.repository, &record)? {
            self.losses.insert(record.id, loss);
        }
        self.broken.retain(|broken| !broken.is_of(&record.id));
        self.adopted.insert(record.id);
        self.records.push(record);
        self.records.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
        Ok(())
    }

    /// The deployments of which there is something, and no record that can be read: a file among the records, an entry, a
    /// folder of state.
    pub(crate) fn remains(&self) -> BTreeSet<DeploymentId> {
        let files = self.broken.iter().filter_map(|broken| broken.file.strip_suffix(".json"));
        let entries = self.esps.iter().flat_map(|boot| boot.ours.values().filter_map(BlsEntry::sealstone_id));
        let named = files.chain(entries).chain(self.states.iter().map(String::as_str));
        let mut ids: BTreeSet<DeploymentId> = named.filter_map(|id| id.parse().ok()).collect();
        let is_known = |id: &DeploymentId| {
            let has_it = |record: &Record| record.id == *id || record.state_id() == *id;
            self.records.iter().any(has_it) || self.unadopted.iter().any(|refused| refused.id == *id)
        };
        ids.retain(|id| !is_known(id));
        ids
    }

    /// A deployment is not counted any more if somebody took the counter off its entry, as `systemd-bless-boot` does.
    fn note_blessed(&mut self) {
        let is_blessed = |record: &Record| self.esps.iter().any(|boot| boot.has_uncounted(&record.id));
        for record in self.records.iter_mut().filter(|record| record.tries.is_some()) {
            if is_blessed(record) {
                record.tries = None;
            }
        }
    }

    /// Takes over what bootc made: its deployments get records, and the entries of those that have one are ours.
    fn adopt(&mut self, target: &Target) -> Result<(), DeployError> {
        let Adoption { records, refused } = adopt(target, self)?;
        self.adopted = records.iter().map(|record| record.id).collect();
        self.unadopted = refused;
        self.records.extend(records);
        self.records.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
        for boot in &mut self.esps {
            boot.claim(&self.records)?;
        }
        Ok(())
    }

    /// A digest of all that a plan depends on: if it is another, the plan is of yesterday.
    pub(crate) fn fingerprint(&self) -> String {
        let mut lines = vec![serde_json::json!({
            "records": self.records,
            "broken": self.broken,
            "losses": self.losses.iter().map(|(id, loss)| (id.to_string(), loss)).collect::<BTreeMap<_, _>>(),
            "states": self.states,
            "adopted": self.adopted,
            "var": self.has_var,
        })];
        for esp in &self.esps {
            let entries = esp.ours.iter().map(|(name, entry)| [name.to_string(), entry.to_string()]);
            let foreign = esp.foreign.iter().map(|found| format!("{found:?}"));
            lines.push(serde_json::json!({
                "ours": entries.collect::<Vec<_>>(),
                "foreign": foreign.collect::<Vec<_>>(),
                "kernels": esp.kernels,
                "loaders": esp.loaders,
                "failed": esp.failed,
                "bootc_files": esp.bootc_files,
            }));
        }
        verity::digest(Algorithm::Sha256, serde_json::Value::from(lines).to_string().as_bytes()).to_hex()
    }

    pub(crate) fn record(&self, id: &DeploymentId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == *id)
    }

    /// Whether a boot partition can be read, and so perhaps written.
    pub(crate) fn is_usable(&self, esp: usize) -> bool {
        self.esps.get(esp).is_some_and(|boot| boot.failed.is_none())
    }

    /// How far the boot loader has counted each deployment on a boot partition; of those that have no entry there, on the
    /// others.
    pub(crate) fn counters(&self, boot: &BootWorld) -> Counters {
        let mut counters = Counters::new();
        for record in &self.records {
            let elsewhere =
                || self.esps.iter().filter_map(|boot| boot.counter(&record.id)).min_by_key(|t| t.left);
            if let Some(tries) = boot.counter(&record.id).or_else(elsewhere) {
                counters.insert(record.id, tries);
            }
        }
        counters
    }
}

/// What is on each boot partition. One of several that fails, as in a degraded RAID 1, is noted; without any other it is an
/// error.
fn boot_worlds(target: &Target) -> Result<Vec<BootWorld>, DeployError> {
    let mut worlds = Vec::new();
    let mut first = None;
    for esp in &target.esps {
        worlds.push(match BootWorld::read(esp) {
            Err(DeployError::Boot(error)) if error.is_of_the_medium() => {
                let failed = Some(error.to_string());
                first = first.or(Some(error));
                BootWorld { failed, ..BootWorld::default() }
            }
            read => read?,
        });
    }
    let is_healthy = |(esp, boot): (&Esp, &BootWorld)| esp.role().has_entries() && boot.failed.is_none();
    match first {
        Some(error) if !target.esps.iter().zip(&worlds).any(is_healthy) => Err(error.into()),
        _ => Ok(worlds),
    }
}

/// What the repository lacks of a deployment. Whether each object is whole is fsck's business.
fn loss(repository: &Repository, record: &Record) -> Result<Option<Loss>, DeployError> {
    if let Some(reason) = image_fault(repository, record) {
        return Ok(Some(Loss::Image(reason)));
    }
    let missing = Keeping::of(record).missing_streams(repository)?;
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Ok((!names.is_empty()).then_some(Loss::Streams(names)))
}

/// Why the image cannot be mounted, if so.
fn image_fault(repository: &Repository, record: &Record) -> Option<String> {
    match repository.has_image(record.image.id.object()) {
        Ok(true) => match repository.open_object(record.image.id.object()) {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        },
        Ok(false) => Some("its image is not in the repository".into()),
        Err(error) => Some(error.to_string()),
    }
}

impl BootWorld {
    fn read(esp: &Esp) -> Result<Self, DeployError> {
        let (kernels, bootc_files, loaders) = (esp.kernels()?, esp.bootc_files()?, esp.loaders()?);
        let mut world = Self { loaders, kernels, bootc_files, ..Self::default() };
        for found in esp.entries()? {
            match found {
                FoundEntry::Entry(name, entry) if entry.sealstone_id().is_some() => {
                    world.ours.insert(name, entry);
                }
                other => world.foreign.push(other),
            }
        }
        Ok(world)
    }

    /// Makes entries that bootc wrote ours, if their deployments have records. The mark in memory is so that no entry is
    /// taken for the one that we would write.
    fn claim(&mut self, records: &[Record]) -> Result<(), DeployError> {
        for found in std::mem::take(&mut self.foreign) {
            let FoundEntry::Entry(name, mut entry) = found else {
                self.foreign.push(found);
                continue;
            };
            let id = deployment_of(&entry).filter(|id| records.iter().any(|record| record.id == *id));
            if let Some(id) = id {
                entry.set(SEALSTONE_ID_KEY, &id.to_string())?.set(ADOPTED_KEY, "bootc")?;
                self.ours.insert(name, entry);
            } else {
                self.foreign.push(FoundEntry::Entry(name, entry));
            }
        }
        Ok(())
    }

    /// How far the boot loader has counted a deployment here.
    pub(crate) fn counter(&self, id: &DeploymentId) -> Option<Tries> {
        let id = id.to_string();
        let of_it = self.ours.iter().filter(|(_, entry)| entry.sealstone_id() == Some(&id));
        of_it.filter_map(|(name, _)| name.tries()).min_by_key(|tries| tries.left)
    }

    /// Whether a deployment has entries here, and none that is counted.
    pub(crate) fn has_uncounted(&self, id: &DeploymentId) -> bool {
        let id = id.to_string();
        let has_entry = self.ours.values().any(|entry| entry.sealstone_id() == Some(&id));
        has_entry
            && self
                .ours
                .iter()
                .all(|(name, entry)| entry.sealstone_id() != Some(&id) || name.tries().is_none())
    }

    /// Whether an entry of ours boots this kernel.
    pub(crate) fn boots(&self, kernel: &DeployedKernel) -> bool {
        let Some(loaded) = kernel.loaded_file() else { return false };
        self.ours.values().any(|entry| entry.files().any(|file| file == loaded))
    }

    /// The entries that are not ours, as far as they can be read.
    pub(crate) fn foreign_entries(&self) -> impl Iterator<Item = &BlsEntry> {
        self.foreign.iter().filter_map(|found| match found {
            FoundEntry::Entry(_, entry) => Some(entry),
            FoundEntry::Broken { .. } => None,
        })
    }
}
