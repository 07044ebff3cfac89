//! The plan as a value: its steps, and the room they need. Prints as JSON (`docs/format.md` has the schema).

use sealstone_boot::BootDigest;
use serde::{Deserialize, Serialize};

use crate::{DeploymentId, ImageId, Record, keep::Keeping, target::World};

/// The version of plans in JSON.
const PLAN_VERSION: u32 = 1;

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// The record of the deployment that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Record>,
    /// What is needed where, and what is free.
    pub room: Vec<Room>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// A digest of what the target was like: a plan for another is refused.
    pub world: String,
}

/// The room that a plan needs on a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The file system, by a directory on it.
    pub place: String,
    /// What will be written, in bytes, whole blocks counted.
    pub needed: u64,
    /// What is free, in bytes.
    pub free: u64,
}

/// One step. Each is durable before the next begins, and may be run twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Sets the refs that keep images and manifests in the repository.
    Keep {
        /// Those that boot, and the one that is made.
        deployments: Vec<Keeping>,
    },
    /// Makes the shared `/var` from the image.
    MakeVar {
        /// The image.
        image: ImageId,
    },
    /// Makes a deployment's state folder: `/etc` from the image, the link to `/var`, the origin.
    MakeState {
        /// The deployment.
        id: DeploymentId,
    },
    /// Writes the record of the plan's deployment as being made.
    WriteStaged {
        /// The deployment.
        id: DeploymentId,
    },
    /// Writes the record of the plan's deployment as whole: from here on it is wanted in the menu.
    WriteDeployed {
        /// The deployment.
        id: DeploymentId,
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
    /// Removes a record: from here on, the deployment is not.
    RemoveRecord {
        /// The deployment.
        id: DeploymentId,
    },
    /// Removes a state folder.
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
    /// Removes a kernel that no entry names any more.
    RemoveKernel {
        /// The number of the boot partition.
        esp: usize,
        /// Its digest.
        digest: BootDigest,
    },
}

impl Plan {
    pub(super) fn new(world: &World, deployment: Option<Record>) -> Self {
        Self {
            version: PLAN_VERSION,
            deployment,
            room: Vec::new(),
            steps: Vec::new(),
            world: world.fingerprint(),
        }
    }

    /// Whether everything is as it should be already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
