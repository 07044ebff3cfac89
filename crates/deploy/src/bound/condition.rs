//! Whether the bound images of a deployment are there.

use sealstone_store::{Control, Optional, Repository};

use super::{BoundImage, image_store};
use crate::{DeployError, Record, Sysroot};

/// Whether all that a deployment binds is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "reasons")]
pub enum BoundCondition {
    /// Every image, in the repository and in the deployment's image store.
    Complete,
    /// What is missing. `store bound sync` brings it back.
    Missing(Vec<String>),
}

impl BoundCondition {
    /// Whether all is there.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }
}

/// The condition of a deployment's bound images; none for one that binds none.
///
/// # Errors
/// When the disk fails.
pub fn bound_condition(
    sysroot: &Sysroot,
    repository: &Repository,
    record: &Record,
) -> Result<Option<BoundCondition>, DeployError> {
    if record.bound.is_empty() {
        return Ok(None);
    }
    let mut missing = Vec::new();
    for image in &record.bound {
        if !image.is_stored(repository)? {
            missing.push(format!("{} ({}) is not in the repository", image.reference, image.manifest));
        }
    }
    match sysroot.dir().open_dir(image_store::place(&record.state_id())).optional()? {
        None => missing.push("it has no image store".to_owned()),
        Some(dir) => {
            let absent = image_store::missing_in(&dir, &record.bound)?;
            missing.extend(absent.iter().map(|image: &&BoundImage| {
                format!("{} ({}) is not in the image store", image.reference, image.manifest)
            }));
        }
    }
    Ok(Some(if missing.is_empty() { BoundCondition::Complete } else { BoundCondition::Missing(missing) }))
}

/// The same, with a look for every file of the images in the repository.
///
/// # Errors
/// When the disk fails.
pub fn checked_bound_condition(
    sysroot: &Sysroot,
    repository: &Repository,
    record: &Record,
    control: &Control,
) -> Result<Option<BoundCondition>, DeployError> {
    let Some(condition) = bound_condition(sysroot, repository, record)? else { return Ok(None) };
    let mut missing = match condition {
        BoundCondition::Complete => Vec::new(),
        BoundCondition::Missing(missing) => missing,
    };
    for image in &record.bound {
        let lost = image.lost_objects(repository, control)?;
        if lost > 0 {
            missing.push(format!(
                "{} ({}) lost files in the repository: {lost}",
                image.reference, image.manifest
            ));
        }
    }
    Ok(Some(if missing.is_empty() { BoundCondition::Complete } else { BoundCondition::Missing(missing) }))
}
