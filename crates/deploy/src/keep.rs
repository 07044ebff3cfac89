//! What keeps a deployment's image and streams in the repository: refs, durable before anything names the deployment.
//!
//! What lives here: the refs' names and their writing and removal. What does not: gc, which reads only refs.
//! Source: bootc keeps a deployment by the tag `localhost/bootc-<manifest digest>`; we set the same one, and one of our
//! own for the image itself.

use std::collections::BTreeSet;

use sealstone_import::{ManifestDigest, streams::manifest_stream};
use sealstone_store::{Durable, Place, RefName, RefTarget, Repository};

use crate::{DeployError, DeploymentId, Record};

/// A deployment with the manifest of its image: what refs are set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Keeping {
    /// The deployment.
    pub id: DeploymentId,
    /// The manifest.
    #[serde(with = "crate::record::text")]
    pub manifest: ManifestDigest,
}

impl Keeping {
    /// What a record needs kept.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self { id: record.id, manifest: record.image.manifest }
    }
}

/// Deployments whose images and streams stay in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept(BTreeSet<DeploymentId>);

impl Kept {
    /// Whether this deployment is one of them.
    #[must_use]
    pub fn has(&self, id: &DeploymentId) -> bool {
        self.0.contains(id)
    }
}

/// Sets the refs of these deployments, durably.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when an image or a manifest is not in the repository, and the disk's errors.
pub fn keep(repository: &Repository, deployments: &[Keeping]) -> Result<Durable<Kept>, DeployError> {
    let transaction = repository.transaction()?;
    for Keeping { id, manifest } in deployments {
        if !repository.has_image(id.image().object())? {
            return Err(sealstone_store::Error::Missing { what: format!("image {}", id.image()) }.into());
        }
        let stream = manifest_stream(manifest)?;
        repository.stream(&stream)?;
        transaction.set_ref(image_ref(id)?, RefTarget::Image(*id.image().object()));
        transaction.set_ref(manifest_ref(manifest)?, RefTarget::Stream(stream));
    }
    Ok(transaction.commit(Kept(deployments.iter().map(|kept| kept.id).collect()))?)
}

/// Takes a deployment's refs away; that of the manifest stays if another deployment has the same.
///
/// # Errors
/// When the disk fails.
pub fn release(repository: &Repository, deployment: &Keeping, is_shared: bool) -> Result<(), DeployError> {
    let _ = repository.remove_ref(Place::Images, &image_ref(&deployment.id)?)?;
    if !is_shared {
        let _ = repository.remove_ref(Place::Streams, &manifest_ref(&deployment.manifest)?)?;
    }
    Ok(())
}

fn image_ref(id: &DeploymentId) -> Result<RefName, DeployError> {
    Ok(format!("sealstone/deployments/{id}").parse()?)
}

fn manifest_ref(manifest: &ManifestDigest) -> Result<RefName, DeployError> {
    Ok(RefName::oci(&format!("localhost/bootc-{manifest}"))?)
}
