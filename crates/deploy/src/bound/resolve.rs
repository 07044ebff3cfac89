//! From references to digests: each is asked for once, several side by side, and from then on its digest counts.
//!
//! What lives here: the question, and what need not be asked: a reference by the digest of an image that is here. What does
//! not: HTTP and credentials, which are the caller's opener. Nothing is stored.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sealstone_import::{Digest, ImportError, ImportOptions, ManifestDigest, oci::Platform, source::Source};
use sealstone_store::{Control, Repository};

use super::{BoundImage, BoundRef, BoundReference, BoundToCome, image::is_stored};
use crate::{DeployError, documents::documents_for};

/// How a reference is opened: what a library needs of a registry's settings, which are the machine's or the caller's.
pub type BoundOpener<'a> = dyn Fn(&BoundReference) -> Result<Box<dyn Source>, ImportError> + Sync + 'a;

/// How many registries are asked at a time.
const AT_A_TIME: usize = 4;

/// A bound image with its digest, and what getting it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedBound {
    /// The image as a record keeps it.
    pub image: BoundImage,
    /// Bytes that a fetch would transfer: 0 when all of it is here.
    pub bytes_to_fetch: u64,
    /// Whether the repository has all of it.
    pub is_stored: bool,
    /// What it will take, where the repository lacks something of it.
    pub to_come: Option<BoundToCome>,
    /// The platform that its configuration states.
    pub platform: Option<Platform>,
    /// Things worth telling, such as another platform.
    pub warnings: Vec<String>,
}

/// Resolves references to digests. `known` are images that were resolved before: of those that the repository still has,
/// one by digest is not asked for, and one by tag is asked for by one `HEAD`.
///
/// # Errors
/// [`DeployError::BoundUnit`] for what is no reference; [`DeployError::Import`] with the registry's answer.
pub fn resolve_bound(
    repository: &Repository,
    refs: &[BoundRef],
    known: &[BoundImage],
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Vec<ResolvedBound>, DeployError> {
    let asked: Vec<(BoundReference, &BoundRef)> =
        refs.iter().map(|one| Ok((one.parse()?, one))).collect::<Result<_, DeployError>>()?;
    // Units may share an image: it is asked for once, so that all of them get the same.
    let mut distinct: Vec<&BoundReference> = Vec::new();
    for (reference, _) in &asked {
        if !distinct.contains(&reference) {
            distinct.push(reference);
        }
    }
    let answers = side_by_side(&distinct, control, |reference| {
        resolve_one(repository, reference, known, opener, options)
    })?;
    let resolved = asked.iter().filter_map(|(reference, one)| {
        let at = distinct.iter().position(|other| *other == reference)?;
        let mut found = answers.get(at)?.clone();
        found.image.unit.clone_from(&one.unit);
        found.image.reference.clone_from(&one.reference);
        Some(found)
    });
    Ok(resolved.collect())
}

fn resolve_one(
    repository: &Repository,
    reference: &BoundReference,
    known: &[BoundImage],
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
) -> Result<ResolvedBound, DeployError> {
    if let Some(found) = here(repository, reference, known, &options.platform)? {
        return Ok(found);
    }
    let source = opener(reference)?;
    // A tag that leads where it led before: what a registry says for one HEAD, and the repository has all of it.
    let before: Vec<_> = known.iter().filter(|image| is_same(&image.reference, reference)).collect();
    if !before.is_empty()
        && let Some(named) = source.named_digest(&options.limits)?
        && let Some(image) = before.into_iter().find(|image| image.resolved == named)
        && is_stored(repository, &image.manifest)?
    {
        return found_here(repository, named, image.manifest, &options.platform);
    }
    let looked = sealstone_import::look(Some(repository), &*source, options)?;
    let is_stored = is_stored(repository, &looked.manifest)?;
    let image = BoundImage {
        unit: String::new(),
        reference: String::new(),
        resolved: looked.named,
        manifest: looked.manifest,
        config: looked.config,
        bytes: Some(looked.bytes()),
    };
    let to_come = (!is_stored).then(|| BoundToCome::of(&looked));
    let bytes_to_fetch = if is_stored { 0 } else { looked.bytes_to_fetch() };
    Ok(ResolvedBound {
        image,
        bytes_to_fetch,
        is_stored,
        to_come,
        platform: looked.platform,
        warnings: looked.warnings,
    })
}

/// An image by digest that the repository has: its own digest says so, or that of an index did when it was resolved.
fn here(
    repository: &Repository,
    reference: &BoundReference,
    known: &[BoundImage],
    wanted: &Platform,
) -> Result<Option<ResolvedBound>, DeployError> {
    let Some(digest) = reference.digest() else { return Ok(None) };
    let before = known.iter().find(|image| image.resolved == *digest).map(|image| image.manifest);
    let manifest = before.unwrap_or_else(|| ManifestDigest::new(*digest));
    if !is_stored(repository, &manifest)? {
        return Ok(None);
    }
    found_here(repository, *digest, manifest, wanted).map(Some)
}

/// Whether a record's text is this reference.
fn is_same(text: &str, reference: &BoundReference) -> bool {
    text.parse::<BoundReference>().is_ok_and(|other| other == *reference)
}

/// What is known of an image that the repository has.
fn found_here(
    repository: &Repository,
    resolved: Digest,
    manifest: ManifestDigest,
    wanted: &Platform,
) -> Result<ResolvedBound, DeployError> {
    let found = documents_for(repository, &manifest, wanted)?;
    let image = BoundImage {
        unit: String::new(),
        reference: String::new(),
        resolved,
        manifest,
        config: found.config_digest,
        bytes: Some(found.manifest.layers.iter().map(sealstone_import::oci::Descriptor::size).sum()),
    };
    let (platform, warnings) = (found.config.platform, found.warnings);
    Ok(ResolvedBound { image, bytes_to_fetch: 0, is_stored: true, to_come: None, platform, warnings })
}

/// Runs a job for each item, a few at a time; the answers are in the items' order. The first fault is the answer, and
/// nothing is begun after it.
pub(super) fn side_by_side<I: Sync, T: Send>(
    items: &[I],
    control: &Control,
    job: impl Fn(&I) -> Result<T, DeployError> + Sync,
) -> Result<Vec<T>, DeployError> {
    let queue = Mutex::new(items.iter().enumerate());
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let fault: Mutex<Option<DeployError>> = Mutex::new(None);
    let work = || {
        while lock(&fault).is_none() {
            let Some((place, item)) = lock(&queue).next() else { return };
            let stopped = control.check().map_err(|_| sealstone_store::Error::Cancelled.into());
            match stopped.and_then(|()| job(item)) {
                Ok(answer) => lock(&done).push((place, answer)),
                Err(error) => {
                    lock(&fault).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(items.len()) {
            scope.spawn(work);
        }
    });
    if let Some(fault) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(fault);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, answer)| answer).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of images that were resolved before, those that floating tags do not lead to any more: one question each, a `HEAD` where
/// the place is a registry. What cannot say is among them.
///
/// # Errors
/// [`DeployError::Import`] with the registry's answer.
pub fn moved_bound<'a>(
    known: &'a [BoundImage],
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Vec<&'a BoundImage>, DeployError> {
    let mut floating: Vec<(&BoundImage, BoundReference)> = Vec::new();
    for image in known {
        let invalid = |reason| DeployError::BoundUnit { unit: image.unit.clone(), reason };
        let reference: BoundReference = image.reference.parse().map_err(invalid)?;
        if reference.is_floating() {
            floating.push((image, reference));
        }
    }
    let moved = side_by_side(&floating, control, |(image, reference)| {
        let named = opener(reference)?.named_digest(&options.limits)?;
        Ok((named != Some(image.resolved)).then_some(*image))
    })?;
    Ok(moved.into_iter().flatten().collect())
}
