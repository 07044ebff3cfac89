//! A deployment's own, read-only image store for podman: its bound images in the layout of containers/storage.
//!
//! What lives here: where it is, what it holds, making it of the repository's objects. What does not: mounting it where
//! podman looks (`store bound mount`), and fetching. Layout: that of the driver overlay, `overlay-images/`,
//! `overlay-layers/`, `overlay/`; layers have the ids that podman gives them, so that what it pulls itself can lie on them.
//! Invariants: it is whole or not there; it depends on the images alone; owners and modes are the images' own, which hard
//! links to objects would not have.
//!
//! Source of the format: containers/storage, `images.go`, `layers.go`, `drivers/overlay`; containers/image,
//! `storage/storage_dest.go` for the ids of layers.

mod build;
mod describe;
mod documents;
mod layer_diff;
mod presence;
#[cfg(test)]
mod tests;

use crate::DeploymentId;

pub(crate) use build::build;
pub(crate) use describe::is_zero;
pub use describe::{Sharing, StorePlan, plan_image_store};
pub(crate) use presence::missing_in;

/// Its name in a deployment's folder of state.
pub(crate) const NAME: &str = "bound";

/// Where bootc's link `/usr/lib/bootc/storage` leads to, below a sysroot: `ostree/bootc` is a link to `composefs/bootc`.
pub const MOUNT_POINT: &str = "composefs/bootc/storage";

/// Where a deployment's image store is, below the sysroot.
#[must_use]
pub fn place(id: &DeploymentId) -> String {
    format!("{}/{id}/{NAME}", crate::sysroot::DEPLOY)
}
