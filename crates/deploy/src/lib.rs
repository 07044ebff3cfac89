//! Deployments: from layers to an image, from an image to a system that boots.
//!
//! What lives here: the merge of layer trees into one canonical tree, SELinux labels, deployment records, plan and
//! apply. What never does: tar, HTTP, the rules of FAT.

mod apply;
mod deployment_id;
mod entries;
mod error;
mod image;
mod image_tree;
mod import_image;
mod keep;
mod merge;
mod origin;
mod plan;
mod populate;
mod profile;
mod record;
pub mod selinux;
mod status;
mod sysroot;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
#[path = "../../store/tests/trees/mod.rs"]
mod trees;

pub use apply::{Applied, apply};
pub use deployment_id::DeploymentId;
pub use entries::booted;
pub use error::DeployError;
pub use image::{ImageId, MadeImages, NotBootable, make_image, make_images};
pub use import_image::{ImportedImage, import_image};
pub use keep::{Keeping, Kept};
pub use merge::merge;
pub use plan::{DeployRequest, Plan, Room, Step, plan_deploy, plan_reconcile, plan_remove};
pub use populate::Populated;
pub use profile::Profile;
pub use record::{
    DeployedImage, DeployedKernel, KargOrigin, Os, RECORD_VERSION, Record, RecordedKarg, State, VerityNeed,
};
pub use status::{DeploymentStatus, EspStatus, Health, Place, Status, status};
pub use sysroot::{BrokenRecord, REPOSITORY, Sysroot, SysrootLock};
pub use target::Target;
