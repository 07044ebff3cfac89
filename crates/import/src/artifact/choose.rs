//! [`find_artifact`]: which of the manifests that a reference leads to is meant (Ironic's `identify_specific_image`).

use super::{Artifact, DiskType, Offer, Ranking, offer::list_offers};
use crate::{
    Digest, Limits,
    error::{ImportError, Result, few},
    oci::Platform,
    source::Source,
};

/// What somebody wants. Start from [`ArtifactChoice::default`] and change what you must.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArtifactChoice {
    /// The architecture that it is for: by default that of this program. What names none fits.
    pub platform: Platform,
    /// Which of several disk types.
    pub ranking: Ranking,
    /// This disk type and no other; what has none does not fit.
    pub disk_type: Option<DiskType>,
    /// Nothing that has to be converted before it is a disk's content: for what goes to a device.
    pub raw_only: bool,
    /// The digest that its manifest has to have, or the index that the reference names.
    pub require_digest: Option<Digest>,
}

impl Default for ArtifactChoice {
    fn default() -> Self {
        Self {
            platform: Platform::native(),
            ranking: Ranking::default(),
            disk_type: None,
            raw_only: false,
            require_digest: None,
        }
    }
}

impl ArtifactChoice {
    /// The places of an offer among others, by disk type and by architecture; the smaller is the better one. `None` when it
    /// does not fit.
    fn rank(&self, offer: &Offer) -> Option<(usize, usize)> {
        let architecture = match offer.platform() {
            // The operating system is not asked for: disk images are indexed with and without one.
            Some(platform) => self.platform.rank(&Platform::new(
                self.platform.os(),
                platform.architecture(),
                platform.variant(),
            ))?,
            None => 0,
        };
        // An unknown disk type is skipped, and none at all is not (R5).
        let disk_type = offer.disk_type.as_deref().map(str::parse::<DiskType>).transpose().ok()?;
        (self.accepts(disk_type)).then(|| (self.ranking.rank(disk_type), architecture))
    }

    /// Whether the disk type fits, as far as it is known. A manifest may know more than its index.
    fn accepts(&self, disk_type: Option<DiskType>) -> bool {
        disk_type.is_none_or(|found| {
            self.disk_type.is_none_or(|wanted| wanted == found) && (!self.raw_only || found.format() == "raw")
        })
    }

    fn fits(&self, artifact: &Artifact) -> Result<(), String> {
        match (artifact.disk_type, self.disk_type) {
            (None, Some(wanted)) => Err(format!("it has no disk type, and {wanted} is wanted")),
            (Some(found), _) if !self.accepts(Some(found)) => Err(format!("it is {found}")),
            _ => Ok(()),
        }
    }
}

/// Finds the artifact that `source` means: of those that fit the one with the best disk type, the first of equals. What
/// is no artifact, or has not exactly one file, is passed over.
///
/// # Errors
/// [`ImportError::NoPlatform`] when there are manifests, for other architectures or of other disk types;
/// [`ImportError::Unsupported`] when those that fit are no artifacts; when a document is not what named it;
/// [`ImportError::Digest`] when it is not the required one.
pub fn find_artifact(source: &dyn Source, choice: &ArtifactChoice, limits: &Limits) -> Result<Artifact> {
    let offers = list_offers(source, limits)?;
    let place = source.label();
    if offers.is_empty() {
        return Err(ImportError::Missing { what: "artifact".to_owned(), place });
    }
    let mut ranked: Vec<_> =
        offers.iter().filter_map(|offer| choice.rank(offer).map(|rank| (rank, offer))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    if ranked.is_empty() {
        let disk_type = choice.disk_type.map_or_else(String::new, |wanted| format!(", {wanted}"));
        let raw = if choice.raw_only { ", raw" } else { "" };
        return Err(ImportError::NoPlatform {
            place,
            wanted: format!("{}{disk_type}{raw}", choice.platform),
            offered: few(offers.iter().map(describe)),
        });
    }
    let mut reasons = Vec::new();
    for (_, offer) in ranked {
        match Artifact::read(source, offer, limits)? {
            Ok(artifact) => match choice.fits(&artifact) {
                Ok(()) => return check(artifact, choice, &place),
                Err(reason) => reasons.push(reason),
            },
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.dedup();
    Err(ImportError::unsupported(place, few(reasons.into_iter()).join("; ")))
}

fn check(artifact: Artifact, choice: &ArtifactChoice, place: &str) -> Result<Artifact> {
    match &choice.require_digest {
        Some(required) if *required != artifact.named && required != artifact.manifest.digest() => {
            Err(ImportError::digest(format!("the artifact at {place}"), required, &artifact.named))
        }
        _ => Ok(artifact),
    }
}

/// `arm64 qcow2`, for messages.
fn describe(offer: &Offer) -> String {
    let architecture = offer.platform().map_or("any architecture", Platform::architecture);
    match &offer.disk_type {
        Some(disk_type) => format!("{architecture} {disk_type}"),
        None => architecture.to_owned(),
    }
}
