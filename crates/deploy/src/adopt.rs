//! Taking over deployments that bootc made: a record of each, derived from what bootc left.
//!
//! What lives here: reading bootc's boot entries, origins and images into [`Record`]s. What does not: writing them, which
//! the next verb that changes something does. Invariants: nothing is written, and what cannot be taken over is reported
//! with the reason and stops nothing.
//! Source: bootc's composefs backend finds its deployments by their boot entries: the image's id is in the options of a
//! kernel's entry, and in the file's name of a unified kernel image's.

use std::collections::BTreeSet;

use sealstone_boot::{
    BlsEntry, BootDigest, ComposefsArg, EntryName, Esp, FoundEntry, Karg, Kernel, KernelSizes, OsRelease,
    menu_order,
};
use sealstone_import::{ConfigDigest, ManifestDigest, catalogue::Catalogue};
use sealstone_store::{Optional, Repository, Verity, tree::Tree};

use crate::{
    DeployError, DeploymentId, ImageId, Profile, RECORD_VERSION, Record, State, Target,
    documents::documents,
    entries::STATE_KARG,
    image_tree::{image_tree, read_text},
    kargs::{Architecture, ImageKargs},
    origin::ReadOrigin,
    record::{BootcKernel, DeployedImage, DeployedKernel, KargOrigin, Os, RecordedKarg, VerityNeed},
    sysroot::DEPLOY,
    target::World,
};

/// Where bootc puts unified kernel images, and how it calls them.
const UKI_PREFIX: &str = "/EFI/Linux/bootc/bootc_composefs-";

/// The most bytes of an `.origin` and of an os-release.
const TEXT_MAX: u64 = 64 << 10;

/// A deployment of bootc's that cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unadopted {
    /// The image's id, which is the deployment's.
    pub id: DeploymentId,
    /// Why not.
    pub reason: String,
}

/// What became of bootc's deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adoption {
    /// The records of those that are taken over, first of the menu first.
    pub records: Vec<Record>,
    /// The others.
    pub refused: Vec<Unadopted>,
}

/// How an entry of bootc's boots.
enum Boots {
    /// A kernel with these arguments.
    Kernel { arg: ComposefsArg, kargs: Vec<Karg> },
    /// A unified kernel image.
    Uki { file: String, key: String },
}

/// The deployment that an entry without our key boots, if it is one of bootc's.
pub(crate) fn deployment_of(entry: &BlsEntry) -> Option<DeploymentId> {
    boots(entry).map(|(id, _)| id)
}

fn boots(entry: &BlsEntry) -> Option<(DeploymentId, Boots)> {
    let of_image = |image| DeploymentId::new(ImageId::new(image), 0);
    for key in ["uki", "efi"] {
        let Some(file) = entry.get(key) else { continue };
        let hex = file.strip_prefix(UKI_PREFIX)?.strip_suffix(".efi")?;
        let boots = Boots::Uki { file: file.to_owned(), key: key.to_owned() };
        return Some((of_image(hex.parse().ok()?), boots));
    }
    entry.linux()?;
    let options = entry.options().ok()?;
    let arg = ComposefsArg::find_all(&options).ok()?.into_iter().next()?;
    let kargs = options.into_iter().filter(|karg| !ComposefsArg::is_named_by(karg)).collect();
    Some((of_image(*arg.image()), Boots::Kernel { arg, kargs }))
}

/// The records of bootc's deployments that have none, from all boot partitions and `/boot`.
pub(crate) fn adopt(target: &Target, world: &World) -> Result<Adoption, DeployError> {
    let mut found: Vec<(&EntryName, &BlsEntry, Option<&Esp>)> = Vec::new();
    for (esp, boot) in target.esps.iter().zip(&world.esps) {
        found.extend(entries(&boot.foreign).map(|(name, entry)| (name, entry, Some(esp))));
    }
    found.sort_by(|a, b| menu_order((a.0, a.1), (b.0, b.1)));
    found.extend(entries(&world.grub).map(|(name, entry)| (name, entry, None)));
    let mut adoption = Adoption::default();
    let mut seen = BTreeSet::new();
    for (name, entry, esp) in found {
        let Some((id, boots)) = boots(entry) else { continue };
        let is_there = world.states.contains(&id.to_string());
        if world.record(&id).is_some() || !is_there || !seen.insert(id) {
            continue;
        }
        let Some(esp) = esp else {
            let reason = format!("GRUB boots it from /boot ({name}), which is not managed here");
            adoption.refused.push(Unadopted { id, reason });
            continue;
        };
        let found = Found { id, entry, boots, esp };
        match found.record(target) {
            Ok(record) => adoption.records.push(record),
            Err(error) if is_of_the_disk(&error) => return Err(error),
            Err(error) => adoption.refused.push(Unadopted { id, reason: error.to_string() }),
        }
    }
    number(&mut adoption.records, &world.records);
    Ok(adoption)
}

/// The record of a deployment that an entry of ours boots, as far as what is left of it tells. `None` when the entry does not
/// say how it boots.
pub(crate) fn record_of_entry(
    target: &Target,
    id: DeploymentId,
    (entry, esp): (&BlsEntry, &Esp),
) -> Result<Option<Record>, DeployError> {
    let file = ["uki", "efi"].into_iter().find_map(|key| Some((key.to_owned(), entry.get(key)?.to_owned())));
    let boots = match file {
        Some((key, file)) => Some(Boots::Uki { file, key }),
        None => boots(entry).map(|(_, boots)| boots),
    };
    let Some(mut boots) = boots else { return Ok(None) };
    if let Boots::Kernel { kargs, .. } = &mut boots {
        kargs.retain(|karg| karg.key() != STATE_KARG);
    }
    let mut record = Found { id, entry, boots, esp }.record(target)?;
    // Where ours are is not said.
    let (linux, initrd) = Esp::kernel_paths(&record.kernel.sizes.digest);
    if record.kernel.of_bootc == Some(BootcKernel::Files { linux, initrd }) {
        record.kernel.of_bootc = None;
    }
    Ok(Some(record))
}

/// Whether the disk failed, which says nothing about the deployment.
pub(crate) fn is_of_the_disk(error: &DeployError) -> bool {
    use sealstone_store::Error;
    matches!(
        error,
        DeployError::Store(Error::Io { .. })
            | DeployError::Boot(sealstone_boot::BootError::Store(Error::Io { .. }))
            | DeployError::Import(sealstone_import::ImportError::Store(Error::Io { .. }))
    )
}

fn entries(found: &[FoundEntry]) -> impl Iterator<Item = (&EntryName, &BlsEntry)> {
    found.iter().filter_map(|found| match found {
        FoundEntry::Entry(name, entry) => Some((name, entry)),
        FoundEntry::Broken { .. } => None,
    })
}

/// Gives them serials and places in the menu: in the order in which they are found, before all that has a record, since
/// bootc puts its newest first and keeps nothing older than the one that runs.
fn number(adopted: &mut [Record], known: &[Record]) {
    let highest = known.iter().map(|record| record.serial.max(record.order)).max().unwrap_or_default();
    for (place, record) in (1..).zip(adopted.iter_mut().rev()) {
        record.serial = highest + place;
        record.order = highest + place;
    }
}

/// A deployment of bootc's, found by its entry.
struct Found<'a> {
    id: DeploymentId,
    entry: &'a BlsEntry,
    boots: Boots,
    esp: &'a Esp,
}

impl Found<'_> {
    fn record(self, target: &Target) -> Result<Record, DeployError> {
        let repository = &target.repository;
        let (origin, time) = self.origin(target)?;
        let image = *self.id.image();
        let (manifest, config) = digests(repository, &image, origin.manifest)?;
        let tree = image_tree(repository, &image)?;
        let optional = match &self.boots {
            Boots::Kernel { arg, .. } => arg.is_verity_optional(),
            Boots::Uki { .. } => repository.verity() == Verity::Computed,
        };
        let (kargs, karg_deletes) = self.kargs(repository, &tree, &manifest)?;
        Ok(Record {
            version: RECORD_VERSION,
            id: self.id,
            state: State::Deployed,
            pinned: false,
            locked: false,
            broken: None,
            serial: 0,
            order: 0,
            time,
            image: DeployedImage {
                reference: origin.reference.clone().unwrap_or_else(|| manifest.to_string()),
                resolved: None,
                manifest,
                config,
                id: image,
                profile: Profile::Bootable,
                verity: if optional { VerityNeed::Optional } else { VerityNeed::Required },
            },
            os: self.os(repository, &tree)?,
            kernel: self.kernel(target, &tree, origin.boot_digest)?,
            kargs,
            karg_deletes,
            bound: Vec::new(),
            etc: crate::EtcPolicy::default(),
            overlays: Vec::new(),
            tries: None,
            boot_loader: None,
            unfinalised: None,
            unknown: serde_json::Map::new(),
        })
    }

    /// The origin and when it was written. A sidecar of an older bootc (`.imginfo`) says nothing that is not in the
    /// repository.
    fn origin(&self, target: &Target) -> Result<(ReadOrigin, i64), DeployError> {
        let place = format!("{DEPLOY}/{0}/{0}.origin", self.id);
        let Some(file) = target.sysroot.dir().open_file(place).optional()? else {
            return Ok((ReadOrigin::default(), 0));
        };
        let text = file.read_all(TEXT_MAX)?;
        Ok((ReadOrigin::parse(&String::from_utf8_lossy(&text)), file.metadata()?.mtime.sec))
    }

    fn os(&self, repository: &Repository, tree: &Tree) -> Result<Os, DeployError> {
        let text = read_text(repository, tree, "/usr/lib/os-release", TEXT_MAX)?.unwrap_or_default();
        let OsRelease { id, title, version } = OsRelease::parse(&text);
        let title = self.entry.title().map_or(title, str::to_owned);
        Ok(Os { id, title, version })
    }

    fn kernel(
        &self,
        target: &Target,
        tree: &Tree,
        digest: Option<BootDigest>,
    ) -> Result<DeployedKernel, DeployError> {
        let repository = &target.repository;
        if let Boots::Uki { file, key } = &self.boots {
            let size = self.esp.file_size(file)?;
            let missing = || sealstone_store::Error::Missing { what: format!("file {file}") };
            let digest = digest.ok_or_else(|| DeployError::Invalid {
                what: "origin",
                text: self.id.to_string(),
                reason: "it names no boot digest".into(),
            })?;
            let sizes = KernelSizes { digest, vmlinuz: size.ok_or_else(missing)?, initramfs: 0 };
            let version = Kernel::find(tree).ok().flatten().map(|kernel| kernel.version().to_owned());
            return Ok(DeployedKernel {
                version: version.unwrap_or_default(),
                sizes,
                of_bootc: Some(BootcKernel::Uki { file: file.clone(), key: key.clone() }),
                uki: None,
            });
        }
        let kernel = Kernel::find(tree)?.ok_or_else(|| DeployError::Unfit {
            profile: "bootable",
            reason: "it has no kernel in /usr/lib/modules".into(),
        })?;
        // What the origin says of it is not relied on: a kernel that is not as its record says would stop every verb.
        let sizes = *kernel.pair(tree, repository)?.sizes();
        let place = |key: &str| self.entry.get(key).map(str::to_owned);
        let files = place("linux").zip(place("initrd"));
        let of_bootc = files.map(|(linux, initrd)| BootcKernel::Files { linux, initrd });
        let mut kernel = DeployedKernel { version: kernel.version().to_owned(), sizes, of_bootc, uki: None };
        // One that is not there, or only on one of several, is written where ours are.
        if !is_on_all(&kernel, target.esps.iter().filter(|esp| esp.role().has_entries()))? {
            kernel.of_bootc = None;
        }
        Ok(kernel)
    }

    /// The arguments, with what can be told of where they came from: those that the image wants are the image's, all
    /// others this machine's; what the image wants and the entry lacks was deleted.
    fn kargs(
        &self,
        repository: &Repository,
        tree: &Tree,
        manifest: &ManifestDigest,
    ) -> Result<(Vec<RecordedKarg>, Vec<String>), DeployError> {
        let Boots::Kernel { kargs, .. } = &self.boots else { return Ok((Vec::new(), Vec::new())) };
        let architecture = architecture(repository, manifest);
        let wanted = ImageKargs::read(repository, tree, architecture.as_ref())?.kargs;
        let recorded = |karg: &Karg| {
            let of_image = wanted.iter().find(|wanted| wanted.karg == *karg);
            let origin = of_image.map_or(KargOrigin::Caller, |wanted| wanted.origin.clone());
            RecordedKarg { karg: karg.clone(), origin }
        };
        let lacks = |wanted: &&RecordedKarg| !kargs.contains(&wanted.karg);
        let deleted = wanted.iter().filter(lacks).map(|wanted| wanted.karg.to_string()).collect();
        Ok((kargs.iter().map(recorded).collect(), deleted))
    }
}

/// Whether a kernel's files are on each boot partition.
pub(crate) fn is_on_all<'a>(
    kernel: &DeployedKernel,
    esps: impl Iterator<Item = &'a Esp>,
) -> Result<bool, DeployError> {
    for esp in esps {
        if !kernel.is_on(esp)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The manifest and configuration of a deployed image: those that its origin names, else those in the repository that
/// were made into this image.
fn digests(
    repository: &Repository,
    image: &ImageId,
    named: Option<ManifestDigest>,
) -> Result<(ManifestDigest, ConfigDigest), DeployError> {
    if let Some(manifest) = named {
        return Ok((manifest, documents(repository, &manifest)?.config_digest));
    }
    let catalogue = Catalogue::read(repository)?;
    let made =
        |content: &sealstone_import::catalogue::ImageContent| content.bootable == Some(*image.object());
    let found = catalogue.images().iter().find_map(|stored| {
        let content = stored.content.as_ref().ok().filter(|content| made(content))?;
        Some((stored.manifest, content.config))
    });
    let missing = || sealstone_store::Error::Missing { what: format!("manifest of the image {image}") };
    Ok(found.ok_or_else(missing)?)
}

/// The architecture of an image in the repository, if its documents are there and tell.
pub(crate) fn architecture(repository: &Repository, manifest: &ManifestDigest) -> Option<Architecture> {
    let found = documents(repository, manifest).ok()?;
    found.config.platform.as_ref().map(Architecture::of)
}
