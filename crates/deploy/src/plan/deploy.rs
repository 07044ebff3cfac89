//! Planning a deployment: install and update are the same.

use sealstone_boot::{Karg, Kernel, OsRelease, find_ukis};
use sealstone_import::{ConfigDigest, ManifestDigest, catalogue::NamedImage};
use sealstone_store::{
    Repository, Verity,
    tree::{FileType, Tree},
};

use super::{Plan, Room, Step, entry_steps, keep_first, kernel_steps, remove_steps};
use crate::{
    DeployError, DeploymentId, ImageId, Profile, RECORD_VERSION, Record, Target,
    image_tree::{image_tree, read_text},
    populate::measure,
    record::{DeployedImage, DeployedKernel, KargOrigin, Os, RecordedKarg, State, VerityNeed},
    target::World,
};

/// The most bytes of an os-release file.
const OS_RELEASE_MAX: u64 = 64 << 10;

/// What shall be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployRequest {
    /// The name of the image.
    pub reference: String,
    /// Its manifest.
    pub manifest: ManifestDigest,
    /// Its configuration.
    pub config: ConfigDigest,
    /// The image of the profile `bootable`.
    pub image: ImageId,
    /// Kernel arguments of the caller, in order.
    pub kargs: Vec<Karg>,
    /// The time of the deployment, in seconds since 1970 UTC.
    pub time: i64,
}

impl DeployRequest {
    /// A request for an imported image.
    ///
    /// # Errors
    /// [`DeployError::Unfit`] when it has no bootable image, or its documents are damaged.
    pub fn of(named: &NamedImage, kargs: Vec<Karg>, time: i64) -> Result<Self, DeployError> {
        let unfit = |reason: String| DeployError::Unfit { profile: "bootable", reason };
        let content = named.content.as_ref().map_err(|reason| unfit(reason.clone()))?;
        let image = content.bootable.ok_or_else(|| unfit("it has no kernel in /usr/lib/modules".into()))?;
        Ok(Self {
            reference: named.name.clone(),
            manifest: named.manifest,
            config: content.config,
            image: ImageId::new(image),
            kargs,
            time,
        })
    }
}

/// Plans to deploy an image: as the first system of a sysroot, or as the one that boots next while the others stay.
/// What is deployed just so already needs no steps, or those that mend it.
///
/// # Errors
/// [`DeployError::Unfit`] when the image cannot boot this way, and what reading the target brings.
pub fn plan_deploy(target: &Target, request: &DeployRequest) -> Result<Plan, DeployError> {
    let world = World::read(target)?;
    let tree = image_tree(&target.repository, &request.image)?;
    let record = record_for(&world, request, describe(&target.repository, &tree, request)?);
    let was = world.record(&record.id).map(|known| known.state);
    let mut after: Vec<Record> = world.records.clone();
    let abandoned = take_abandoned(&mut after, &record.id);
    after.retain(|other| other.id != record.id);
    after.push(Record { state: State::Deployed, ..record.clone() });

    let mut plan = Plan::new(&world, Some(record.clone()));
    let id = record.id;
    // The record first: a state folder without one is somebody else's.
    if was != Some(State::Deployed) {
        plan.steps.push(Step::WriteStaged { id });
    }
    if !world.has_var {
        plan.steps.push(Step::MakeVar { image: request.image });
    }
    if !world.states.contains(&id.to_string()) {
        plan.steps.push(Step::MakeState { id });
    }
    kernel_steps(target, &world, &after, &mut plan)?;
    if was != Some(State::Deployed) {
        plan.steps.push(Step::WriteDeployed { id });
    }
    plan.room = room(target, &world, &tree, &record, &plan.steps)?;
    entry_steps(target, &world, &after, &mut plan)?;
    for gone in &abandoned {
        remove_steps(gone, &after, &mut plan);
    }
    keep_first(&after, &mut plan);
    Ok(plan)
}

/// Deployments that were begun and are not wanted any more: the next run ends them.
fn take_abandoned(records: &mut Vec<Record>, wanted: &DeploymentId) -> Vec<Record> {
    let begun = |record: &Record| record.state == State::Staged && record.id != *wanted;
    let abandoned = records.iter().filter(|record| begun(record)).cloned().collect();
    records.retain(|record| !begun(record));
    abandoned
}

/// The record of the request: that of a run which was cut short or of the newest deployment, if it is the same, else a
/// new one.
fn record_for(world: &World, request: &DeployRequest, draft: Draft) -> Record {
    let Draft { image, os, kernel, kargs } = draft;
    let same = |record: &&Record| record.image == image && record.kargs == kargs;
    let begun = world.records.iter().filter(|record| record.state == State::Staged).find(same);
    let newest = world.records.iter().find(|record| record.state == State::Deployed).filter(same);
    if let Some(known) = begun.or(newest) {
        return known.clone();
    }
    let serial = world.records.iter().map(|record| record.serial).max().unwrap_or_default() + 1;
    let order = world.records.iter().map(|record| record.order).max().unwrap_or_default() + 1;
    Record {
        version: RECORD_VERSION,
        id: free_id(world, &request.image),
        state: State::Staged,
        serial,
        order: order.max(serial),
        time: request.time,
        image,
        os,
        kernel,
        kargs,
        unknown: serde_json::Map::new(),
    }
}

/// The first id of an image that no record and no state folder has.
fn free_id(world: &World, image: &ImageId) -> DeploymentId {
    let mut copy = 0;
    loop {
        let id = DeploymentId::new(*image, copy);
        if world.record(&id).is_none() && !world.states.contains(&id.to_string()) {
            return id;
        }
        copy += 1;
    }
}

/// What a record says of its image.
struct Draft {
    image: DeployedImage,
    os: Os,
    kernel: DeployedKernel,
    kargs: Vec<RecordedKarg>,
}

fn describe(repository: &Repository, tree: &Tree, request: &DeployRequest) -> Result<Draft, DeployError> {
    let unfit = |reason: String| DeployError::Unfit { profile: "bootable", reason };
    let kernel = Kernel::find(tree)?.ok_or_else(|| match find_ukis(tree).as_slice() {
        [] => unfit("it has no kernel in /usr/lib/modules".into()),
        [uki, ..] => unfit(format!("it boots by a unified kernel image only ({uki})")),
    })?;
    let sizes = kernel.measure(tree, repository)?;
    let os_release = ["/usr/lib/os-release", "/etc/os-release"]
        .iter()
        .find_map(|path| read_text(repository, tree, path, OS_RELEASE_MAX).transpose())
        .transpose()?
        .unwrap_or_default();
    let OsRelease { id, title, version } = OsRelease::parse(&os_release);
    // An offline repository gets its fs-verity before it boots; one without never does.
    let verity = match repository.verity() {
        Verity::Required | Verity::Offline => VerityNeed::Required,
        Verity::Computed => VerityNeed::Optional,
    };
    let recorded = |karg: &Karg| RecordedKarg { karg: karg.clone(), origin: KargOrigin::Caller };
    Ok(Draft {
        image: DeployedImage {
            reference: request.reference.clone(),
            manifest: request.manifest,
            config: request.config,
            id: request.image,
            profile: Profile::Bootable,
            verity,
        },
        os: Os { id, title, version },
        kernel: DeployedKernel { version: kernel.version().to_owned(), sizes },
        kargs: request.kargs.iter().map(recorded).collect(),
    })
}

/// What the steps need on the sysroot and on each boot partition.
fn room(
    target: &Target,
    world: &World,
    tree: &Tree,
    record: &Record,
    steps: &[Step],
) -> Result<Vec<Room>, DeployError> {
    let space = target.sysroot.dir().space()?;
    let folder =
        |name: &[u8]| tree.lookup(tree.root(), name).filter(|f| tree.file_type(*f) == FileType::Directory);
    let mut needed = 0;
    for step in steps {
        let name: &[u8] = match step {
            Step::MakeVar { .. } => b"var",
            Step::MakeState { .. } => b"etc",
            _ => continue,
        };
        needed += folder(name).map_or(space.block, |folder| measure(tree, folder, space.block).1);
    }
    let place = target.sysroot.dir().label().display().to_string();
    let mut rooms = vec![Room { place, needed, free: space.available }];
    let has_entry = |number: usize| {
        let entries = world.esps.get(number).map(|boot| boot.ours.values());
        entries.is_some_and(|mut entries| entries.any(|e| e.sealstone_id() == Some(&record.id.to_string())))
    };
    for (number, esp) in target.esps.iter().enumerate() {
        let needed = if has_entry(number) { 0 } else { esp.bytes_needed(&record.kernel.sizes)? };
        rooms.push(Room { place: esp.name(), needed, free: esp.space()?.available });
    }
    Ok(rooms)
}
