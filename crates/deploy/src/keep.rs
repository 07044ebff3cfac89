//! What keeps a deployment's image and streams in the repository: refs, durable before anything names the deployment.
//!
//! What lives here: the refs' names and their writing and removal. What does not: gc, which reads only refs.
//! Source: bootc keeps a deployment by the tag `localhost/bootc-<manifest digest>`; we set the same one, and some of our
//! own for the image itself, for overlays and for bound images.

use std::collections::BTreeSet;

use sealstone_import::{
    DiffId, ManifestDigest,
    catalogue::DEPLOYMENT_TAG as TAG,
    streams::{layer_stream, manifest_stream},
};
use sealstone_store::{Durable, Optional, Place, RefName, RefTarget, Repository, StreamName};

use crate::{DeployError, DeploymentId, Record};

/// A deployment with all that it needs kept: what refs are set for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Keeping {
    /// The deployment.
    pub id: DeploymentId,
    /// The manifest.
    #[serde(with = "crate::record::text")]
    pub manifest: ManifestDigest,
    /// The manifests of its bound images, in order.
    #[serde(default, with = "crate::record::texts", skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<ManifestDigest>,
    /// Its overlays, in order.
    #[serde(default, with = "crate::record::texts", skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<DiffId>,
    /// Whether some of its streams are lost, so that only what is there can be kept. The image itself must be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
}

impl Keeping {
    /// What a record needs kept.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            manifest: record.image.manifest,
            bound: record.bound.iter().map(|bound| bound.manifest).collect(),
            overlays: record.overlays.iter().map(|overlay| overlay.diff_id).collect(),
            is_partial: false,
        }
    }

    /// The streams that it needs, each with the ref that keeps it.
    fn streams(&self) -> Result<Vec<(RefName, StreamName)>, DeployError> {
        let mut streams = vec![(manifest_ref(&self.manifest)?, manifest_stream(&self.manifest)?)];
        for (number, bound) in self.bound.iter().enumerate() {
            streams.push((numbered_ref("bound", &self.id, number)?, manifest_stream(bound)?));
        }
        for (number, overlay) in self.overlays.iter().enumerate() {
            streams.push((numbered_ref("overlays", &self.id, number)?, layer_stream(overlay)?));
        }
        Ok(streams)
    }

    /// The streams that are not in the repository.
    pub(crate) fn missing_streams(&self, repository: &Repository) -> Result<Vec<StreamName>, DeployError> {
        let mut missing = Vec::new();
        for (_, stream) in self.streams()? {
            if !has_stream(repository, &stream)? {
                missing.push(stream);
            }
        }
        Ok(missing)
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
/// [`sealstone_store::Error::Missing`] when an image or a stream is not in the repository, and the disk's errors.
pub fn keep(repository: &Repository, deployments: &[Keeping]) -> Result<Durable<Kept>, DeployError> {
    let transaction = repository.transaction()?;
    for keeping in deployments {
        let id = &keeping.id;
        if !repository.has_image(id.image().object())? {
            return Err(sealstone_store::Error::Missing { what: format!("image {}", id.image()) }.into());
        }
        transaction.set_ref(image_ref(id)?, RefTarget::Image(*id.image().object()));
        for (name, stream) in keeping.streams()? {
            if has_stream(repository, &stream)? {
                transaction.set_ref(name, RefTarget::Stream(stream));
            } else if !keeping.is_partial {
                return Err(sealstone_store::Error::Missing { what: format!("stream {stream}") }.into());
            }
        }
    }
    Ok(transaction.commit(Kept(deployments.iter().map(|kept| kept.id).collect()))?)
}

/// Takes a deployment's refs away; that of the manifest stays if another deployment has the same.
///
/// # Errors
/// When the disk fails.
pub fn release(repository: &Repository, deployment: &Keeping, is_shared: bool) -> Result<(), DeployError> {
    let _ = repository.remove_ref(Place::Images, &image_ref(&deployment.id)?)?;
    let manifest = manifest_ref(&deployment.manifest)?;
    for (name, _) in deployment.streams()? {
        if name != manifest || !is_shared {
            let _ = repository.remove_ref(Place::Streams, &name)?;
        }
    }
    Ok(())
}

/// Takes away the ref of a manifest that no deployment has.
///
/// # Errors
/// When the disk fails.
pub fn release_manifest(repository: &Repository, manifest: &ManifestDigest) -> Result<(), DeployError> {
    let _ = repository.remove_ref(Place::Streams, &manifest_ref(manifest)?)?;
    Ok(())
}

/// What the numbered refs of a deployment lead to, in their order.
pub(crate) struct NumberedRefs {
    pub bound: Vec<RefTarget>,
    pub overlays: Vec<RefTarget>,
}

/// What keeps the bound images and overlays of a deployment, whose record may be lost.
///
/// # Errors
/// When the refs cannot be read.
pub(crate) fn numbered_targets(
    repository: &Repository,
    id: &DeploymentId,
) -> Result<NumberedRefs, DeployError> {
    let of_kind = |kind: &str| {
        let mut targets = Vec::new();
        while let Some(target) =
            repository.read_ref(Place::Streams, &numbered_ref(kind, id, targets.len())?).optional()?
        {
            targets.push(target);
        }
        Ok::<_, DeployError>(targets)
    };
    Ok(NumberedRefs { bound: of_kind("bound")?, overlays: of_kind("overlays")? })
}

/// Takes away every ref that is a deployment's own, whatever its record said: all but that of its manifest.
///
/// # Errors
/// When the disk fails.
pub fn forget(repository: &Repository, id: &DeploymentId) -> Result<(), DeployError> {
    let _ = repository.remove_ref(Place::Images, &image_ref(id)?)?;
    let NumberedRefs { bound, overlays } = numbered_targets(repository, id)?;
    // The highest first, so that a rerun finds those that are left.
    for (kind, count) in [("bound", bound.len()), ("overlays", overlays.len())] {
        for number in (0..count).rev() {
            let _ = repository.remove_ref(Place::Streams, &numbered_ref(kind, id, number)?)?;
        }
    }
    Ok(())
}

/// The manifests that are kept as a deployment's, by whom ever.
///
/// # Errors
/// When the refs cannot be read.
pub(crate) fn kept_manifests(repository: &Repository) -> Result<Vec<ManifestDigest>, DeployError> {
    let refs = repository.refs(Place::Streams)?;
    let manifest = |name: String| name.strip_prefix(TAG)?.parse().ok();
    Ok(refs.iter().filter_map(|(name, _)| manifest(name.to_oci()?)).collect())
}

fn has_stream(repository: &Repository, stream: &StreamName) -> Result<bool, DeployError> {
    Ok(repository.stream(stream).optional()?.is_some())
}

fn image_ref(id: &DeploymentId) -> Result<RefName, DeployError> {
    Ok(format!("sealstone/deployments/{id}").parse()?)
}

fn numbered_ref(kind: &str, id: &DeploymentId, number: usize) -> Result<RefName, DeployError> {
    Ok(format!("sealstone/{kind}/{id}/{number}").parse()?)
}

fn manifest_ref(manifest: &ManifestDigest) -> Result<RefName, DeployError> {
    Ok(RefName::oci(&format!("{TAG}{manifest}"))?)
}
