//! Deployments: from layers to an image, from an image to a system that boots.
//!
//! What lives here: the merge of layer trees into one canonical tree, SELinux labels, deployment records, plan and
//! apply. What never does: tar, HTTP, the rules of FAT.

mod error;
mod image;
mod import_image;
mod merge;
mod profile;
pub mod selinux;
#[cfg(test)]
mod testing;
#[cfg(test)]
#[path = "../../store/tests/trees/mod.rs"]
mod trees;

pub use error::DeployError;
pub use image::{ImageId, MadeImages, NotBootable, make_image, make_images};
pub use import_image::{ImportedImage, import_image};
pub use merge::merge;
pub use profile::Profile;
