//! All that a deployment of an image needs of bound images, before it is planned: units, digests, fetching.
//!
//! What lives here: the order of the other parts. What came in a bundle is taken from there, without a network; what the
//! records of other deployments know is not asked for again.

use sealstone_import::{ImportOptions, ManifestDigest};
use sealstone_store::{Control, Repository};

use super::{
    BoundImage, BoundOpener, BoundRef, BoundToCome, HeldBound, bound_refs, fetch_bound, resolve_bound,
};
use crate::{DeployError, ImageId, ImageTrees, bundle::bundled_images};

/// The bound images of an image that shall be deployed.
#[derive(Debug, Default)]
pub struct PreparedBound {
    /// The images, as the deployment's record keeps them.
    pub images: Vec<BoundImage>,
    /// Bytes that were fetched, or would be.
    pub fetch_bytes: u64,
    /// What those of them will take that are not here yet, each once.
    pub to_come: Vec<BoundToCome>,
    /// Things worth telling.
    pub warnings: Vec<String>,
    /// Keeps gc away until the deployment refers to them; none after a dry run.
    pub held: Option<HeldBound>,
}

/// Images that were resolved before.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownBound<'a> {
    /// The images, as records have them.
    pub images: &'a [BoundImage],
    /// Whether one of them that the repository still has is taken as it is, without asking where its tag leads today.
    pub is_enough: bool,
}

impl KnownBound<'_> {
    /// What a unit's reference led to before, if that is enough.
    fn enough(&self, repository: &Repository, one: &BoundRef) -> Result<Option<BoundImage>, DeployError> {
        for image in self.images.iter().filter(|image| self.is_enough && image.reference == one.reference) {
            if image.is_stored(repository)? {
                return Ok(Some(BoundImage { unit: one.unit.clone(), ..image.clone() }));
            }
        }
        Ok(None)
    }
}

/// Finds the images that an imported image binds, and makes sure that the repository has them; with `is_dry`, only says
/// what would be fetched. The image's tree, which is read for its units, is in `trees` from then on.
///
/// # Errors
/// [`DeployError::BoundUnit`] for a unit that is wrong, [`DeployError::Import`] with a registry's answer.
pub fn prepare_bound(
    (repository, trees): (&Repository, &ImageTrees),
    (image, manifest): (&ImageId, &ManifestDigest),
    known: KnownBound<'_>,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    is_dry: bool,
    control: &Control,
) -> Result<PreparedBound, DeployError> {
    let mut prepared = PreparedBound::default();
    let tree = trees.tree(repository, image)?;
    let refs = bound_refs(repository, &tree)?;
    if refs.is_empty() {
        return Ok(prepared);
    }
    // D12: what is found here stays until the deployment refers to it.
    let held = HeldBound::take(repository)?;
    let bundled = bundled_images(repository, manifest, &refs)?;
    let is_bundled = |unit: &str| bundled.iter().any(|image| image.unit == unit);
    let mut to_ask = Vec::new();
    for one in refs.iter().filter(|one| !is_bundled(&one.unit)) {
        match known.enough(repository, one)? {
            Some(image) => prepared.images.push(image),
            None => to_ask.push(one.clone()),
        }
    }
    let resolved = resolve_bound(repository, &to_ask, known.images, opener, options, control)?;
    let mut counted = Vec::new();
    for one in resolved {
        if !counted.contains(&one.image.manifest) {
            prepared.fetch_bytes += one.bytes_to_fetch;
            prepared.to_come.extend(one.to_come);
            counted.push(one.image.manifest);
        }
        prepared.warnings.extend(one.warnings);
        prepared.images.push(one.image);
    }
    prepared.images.extend(bundled);
    prepared.images.sort_by(|a, b| a.unit.cmp(&b.unit));
    if !is_dry {
        let fetched =
            fetch_bound(repository, std::mem::take(&mut prepared.images), opener, options, control)?;
        prepared.images = fetched.images;
        prepared.to_come.clear();
        prepared.held = Some(held);
    }
    Ok(prepared)
}
