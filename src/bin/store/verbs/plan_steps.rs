//! What each step of a plan is called.

use sealstone::deploy::{State, Step};

use crate::image::short_id;
use crate::output::{escape, plural};

/// One line about a step.
pub fn describe(step: &Step) -> String {
    match step {
        Step::Keep { deployments } => {
            format!("keep the images of {}", plural(deployments.len() as u64, "deployment"))
        }
        Step::MakeVar { .. } => "make /var from the image".to_owned(),
        Step::MakeState { id, .. } => format!("make /etc of {}", short_id(id, false)),
        Step::MakeImageStore { id } => {
            format!("make the image store of {} for podman", short_id(id, false))
        }
        Step::MergeEtc { id, .. } => format!("make /etc of {} again, with what changed", short_id(id, false)),
        Step::WriteRecord { id, state } => {
            let state = match state {
                State::Making => "not whole",
                State::Staged => "staged",
                _ => "whole",
            };
            format!("record {} as {state}", short_id(id, false))
        }
        Step::WriteKernel { esp, digest, .. } => {
            format!("write kernel {} to boot partition {esp}", short_id(digest, false))
        }
        Step::WriteLoader { esp, path, .. } | Step::WriteLoaderText { esp, path, .. } => {
            format!("write {} to boot partition {esp}", escape(path.as_bytes()))
        }
        Step::WriteUki { esp, id, addons, .. } => {
            let with = if addons.is_empty() { "" } else { " and its addons" };
            format!("write the unified kernel image of {}{with} to boot partition {esp}", short_id(id, false))
        }
        Step::WriteEntry { esp, name, .. } => {
            format!("write entry {} to boot partition {esp}", escape(name.as_bytes()))
        }
        Step::RemoveEntry { esp, name } => {
            format!("remove entry {} from boot partition {esp}", escape(name.as_bytes()))
        }
        Step::RemoveState { id } => format!("remove /etc of {}", short_id(id, false)),
        Step::WriteOrigin { id } => format!("write the origin of {}", short_id(id, false)),
        Step::ReleaseManifest { manifest } => format!("stop keeping manifest {}", short_id(manifest, false)),
        Step::Release { deployment, .. } => {
            format!("stop keeping the image of {}", short_id(&deployment.id, false))
        }
        Step::Forget { id } => format!("stop keeping what is left of {}", short_id(id, false)),
        Step::RemoveRecord { id } => format!("remove the record of {}", short_id(id, false)),
        Step::RemoveBootcFiles { esp, path } => {
            format!("remove {} from boot partition {esp}", escape(path.as_bytes()))
        }
        Step::RemoveKernel { esp, digest } => {
            format!("remove kernel {} from boot partition {esp}", short_id(digest, false))
        }
        _ => "another step".to_owned(),
    }
}
