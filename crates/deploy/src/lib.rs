//! Deployments: from layers to an image, from an image to a system that boots.
//!
//! What lives here: the merge of layer trees into one canonical tree, SELinux labels, deployment records, plan and
//! apply. What never does: tar, HTTP, the rules of FAT.

mod error;
pub mod selinux;

pub use error::DeployError;
