//! The plan as a value: its steps, and what it says of them. Prints as JSON (`docs/json.md` has the schema).

use sealstone_boot::BootDigest;
use sealstone_import::ManifestDigest;
use sealstone_store::ObjectId;
use serde::{Deserialize, Serialize};

use super::sections::{DeploymentsSection, EntriesSection, Fetch, KargsSection, LoaderSection, Room};
use crate::{
    BoundImage, DeployError, DeployedAddon, DeploymentId, EtcPolicy, EtcSection, ImageId, ImageTrees, Record,
    State, VarSection, bound::image_store::StorePlan, keep::Keeping, target::World,
};

/// The version of plans in JSON.
const PLAN_VERSION: u32 = 1;

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// The record of the deployment that is made, as it will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Record>,
    /// The records of others that change, as they will be.
    pub rewritten: Vec<Record>,
    /// What becomes of the deployments.
    pub deployments: DeploymentsSection,
    /// What becomes of the boot entries.
    pub entries: EntriesSection,
    /// The boot loader, if the image brings one that this machine shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<LoaderSection>,
    /// The kernel arguments of what boots by default.
    pub kargs: KargsSection,
    /// What of `/etc` is carried over, and what both sides changed.
    pub etc: EtcSection,
    /// What becomes of `/var`.
    pub var: VarSection,
    /// The bound images of the deployment that is made.
    pub bound: Vec<BoundImage>,
    /// How the image store comes about that is made of them, and what it takes, if one is made and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_store: Option<StorePlan>,
    /// What is fetched.
    pub fetch: Fetch,
    /// What is needed where, and what is free: the sysroot first, then each boot partition.
    pub room: Vec<Room>,
    /// How many bytes the fullest boot partition will lack of what retention wants free, if no more deployments may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_free: Option<u64>,
    /// What is worth telling and stops nothing: what is foreign, broken or missing.
    pub warnings: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// A digest of what the target was like: a plan for another is refused.
    pub world: String,
    /// The image trees that were read for it, which [`apply`](crate::apply()) need not read again.
    #[serde(skip)]
    pub trees: ImageTrees,
}

/// One step. Each is durable before the next begins, and may be run twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Sets the refs that keep images, manifests, overlays and bound images in the repository.
    Keep {
        /// Those that boot, and the one that is made.
        deployments: Vec<Keeping>,
    },
    /// Writes a record of the plan, or one there is, with this state.
    WriteRecord {
        /// The deployment.
        id: DeploymentId,
        /// `making`: nothing boots it from here on; `staged` and `deployed`: it is whole.
        state: State,
    },
    /// Makes the shared `/var` from the image.
    MakeVar {
        /// The image.
        image: ImageId,
    },
    /// Makes a deployment's state folder: `/etc` from the image, overlays, the link to `/var`, the origin.
    MakeState {
        /// The deployment.
        id: DeploymentId,
        /// The deployment whose changes to `/etc` are carried over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<DeploymentId>,
        /// What becomes of conflicts.
        #[serde(default)]
        policy: EtcPolicy,
    },
    /// Makes a deployment's image store of its bound images.
    MakeImageStore {
        /// The deployment.
        id: DeploymentId,
    },
    /// Makes a deployment's `/etc` again, with the changes of another one, and puts it in the place of the old one.
    MergeEtc {
        /// The deployment.
        id: DeploymentId,
        /// The deployment whose changes are carried over.
        from: DeploymentId,
        /// What becomes of conflicts.
        #[serde(default)]
        policy: EtcPolicy,
    },
    /// Writes kernel and initramfs to a boot partition.
    WriteKernel {
        /// The number of the boot partition.
        esp: usize,
        /// The image that has them.
        image: ImageId,
        /// Their digest.
        digest: BootDigest,
    },
    /// Writes a file of a boot loader, in the place of one that is there.
    WriteLoader {
        /// The number of the boot partition.
        esp: usize,
        /// Its path there.
        path: String,
        /// The image that has it.
        image: ImageId,
        /// Its path in the image.
        source: String,
    },
    /// Writes a boot loader's configuration, where there is none.
    WriteLoaderText {
        /// The number of the boot partition.
        esp: usize,
        /// Its path there.
        path: String,
        /// What it says.
        text: String,
    },
    /// Writes a unified kernel image and its addons to a boot partition.
    WriteUki {
        /// The number of the boot partition.
        esp: usize,
        /// The deployment, by which its file is called.
        id: DeploymentId,
        /// The object that holds it.
        #[serde(with = "crate::record::text")]
        object: ObjectId,
        /// Its size in bytes.
        size: u64,
        /// Its addons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        addons: Vec<DeployedAddon>,
    },
    /// Writes a boot entry under a free name.
    WriteEntry {
        /// The number of the boot partition.
        esp: usize,
        /// The file's name.
        name: String,
        /// What it says.
        text: String,
    },
    /// Removes a boot entry of ours.
    RemoveEntry {
        /// The number of the boot partition.
        esp: usize,
        /// The file's name.
        name: String,
    },
    /// Removes a state folder: it is gone at once.
    RemoveState {
        /// The deployment.
        id: DeploymentId,
    },
    /// Removes refs, so that the next gc takes what only they kept.
    Release {
        /// The deployment and its manifest.
        #[serde(flatten)]
        deployment: Keeping,
        /// Whether another deployment has the same manifest, which stays then.
        is_shared: bool,
    },
    /// Removes every ref of a deployment whose record is lost, but that of its manifest.
    Forget {
        /// The deployment.
        id: DeploymentId,
    },
    /// Writes a deployment's origin, which is for bootc, as the plan's record has it.
    WriteOrigin {
        /// The deployment.
        id: DeploymentId,
    },
    /// Removes the ref of a manifest that no deployment has any more.
    ReleaseManifest {
        /// The manifest.
        #[serde(with = "crate::record::text")]
        manifest: ManifestDigest,
    },
    /// Removes a record: the last of a deployment.
    RemoveRecord {
        /// The deployment.
        id: DeploymentId,
    },
    /// Removes a folder or a file of bootc's that nothing boots any more.
    RemoveBootcFiles {
        /// The number of the boot partition.
        esp: usize,
        /// The path, as entries name it.
        path: String,
    },
    /// Removes a kernel that no entry names any more.
    RemoveKernel {
        /// The number of the boot partition.
        esp: usize,
        /// Its digest.
        digest: BootDigest,
    },
}

impl Step {
    /// The number of the boot partition that it writes to, if it does.
    #[must_use]
    pub const fn boot_partition(&self) -> Option<usize> {
        match self {
            Self::WriteKernel { esp, .. }
            | Self::WriteLoader { esp, .. }
            | Self::WriteLoaderText { esp, .. }
            | Self::WriteUki { esp, .. }
            | Self::WriteEntry { esp, .. }
            | Self::RemoveEntry { esp, .. }
            | Self::RemoveBootcFiles { esp, .. }
            | Self::RemoveKernel { esp, .. } => Some(*esp),
            _ => None,
        }
    }
}

impl Plan {
    pub(super) fn new(world: &World) -> Self {
        Self {
            version: PLAN_VERSION,
            deployment: None,
            rewritten: Vec::new(),
            deployments: DeploymentsSection::default(),
            entries: EntriesSection::default(),
            loader: None,
            kargs: KargsSection::default(),
            etc: EtcSection::default(),
            var: VarSection::default(),
            bound: Vec::new(),
            image_store: None,
            fetch: Fetch::default(),
            room: Vec::new(),
            missed_free: None,
            warnings: Vec::new(),
            steps: Vec::new(),
            world: world.fingerprint(),
            trees: ImageTrees::default(),
        }
    }

    /// Whether everything is as it should be already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Why [`apply`](crate::apply()) would refuse it, if the world stays as it is: a conflict that nobody decided, or no room.
    #[must_use]
    pub fn refusal(&self) -> Option<DeployError> {
        if self.is_empty() {
            return None;
        }
        self.etc.check().err().or_else(|| self.room.iter().find_map(Room::shortage))
    }

    /// The record of a deployment as the plan wants it, if it makes or changes it.
    #[must_use]
    pub fn record(&self, id: &DeploymentId) -> Option<&Record> {
        self.deployment.iter().chain(&self.rewritten).find(|record| record.id == *id)
    }
}
