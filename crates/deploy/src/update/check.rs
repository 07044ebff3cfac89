//! Whether there is an update, and what it would cost.

use sealstone_import::{
    ConfigDigest, DiffId, Digest, ImportOptions, ManifestDigest, PlannedLayer, SourceImage,
    look_at_documents, source::Source,
};
use serde::Serialize;

use super::standing::Standing;
use crate::{DeployError, DeploymentId, Record, Target, bound::OfferSource, record::text};

/// What an update would bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateCheck {
    /// The reference that is followed.
    pub reference: String,
    /// What was found.
    pub verdict: Verdict,
    /// Whether an update would change what boots.
    pub changed: bool,
    /// The deployment that has what the reference names; if none has, the one that an update would follow.
    pub deployment: Option<DeploymentId>,
    /// What that deployment is made of.
    pub current: Option<CheckedImage>,
    /// What the reference names; nothing where it is known to be the same without reading it.
    pub available: Option<CheckedImage>,
    /// Bytes that would be fetched of layers.
    pub bytes_to_fetch: u64,
    /// Whether less may do: no table of contents of a zstd:chunked layer was compared with what is here.
    pub is_at_most: bool,
    /// The layers of what is available, lowest first.
    pub layers: Vec<CheckedLayer>,
    /// The bound images; nothing where only the image itself says which they are.
    pub bound: Option<Vec<CheckedBound>>,
    /// How it is known which images a new image binds.
    pub bound_source: Option<OfferSource>,
    /// Things worth telling.
    pub warnings: Vec<String>,
    /// What was read of what is available.
    #[serde(skip)]
    pub(super) seen: Option<SourceImage>,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What runs, or boots by default where nothing runs, is what the reference names.
    Current,
    /// What the reference names waits to be booted, finalised or not.
    Queued,
    /// The reference names something else.
    Available,
    /// The reference names what runs again, and something else waits to be finalised.
    Withdrawn,
    /// The reference names what was deployed and did not boot: it is not taken again.
    Broken,
}

/// What a deployment is made of, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedImage {
    /// The digest of what the reference named: an index, or the manifest.
    pub resolved: Option<String>,
    /// Its manifest.
    #[serde(with = "text")]
    pub manifest: ManifestDigest,
    /// Its configuration.
    #[serde(with = "text")]
    pub config: ConfigDigest,
    /// Its version: of a deployment that of its os-release, of what is available that of its labels.
    pub version: Option<String>,
    /// When it was made, RFC 3339, as it says.
    pub created: Option<String>,
}

/// A layer of what is available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedLayer {
    /// Its tar.
    #[serde(with = "text")]
    pub diff_id: DiffId,
    /// Bytes of its blob.
    pub blob_bytes: u64,
    /// Bytes that would be fetched.
    pub bytes_to_fetch: u64,
    /// Whether the repository has it.
    pub present: bool,
}

/// A bound image of what is available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedBound {
    /// The unit that names it.
    pub unit: String,
    /// Its reference there.
    pub reference: String,
    /// What that leads to, if it is known.
    pub manifest: Option<String>,
    /// Bytes of its layers, if they are known.
    pub bytes: Option<u64>,
    /// Whether its reference led to another image when the system was deployed that is here.
    pub moved: bool,
}

/// Looks whether `reference`, opened as `source`, leads to something that neither runs nor waits. Changes nothing. Without a
/// change it asks the source for one digest; with one it reads the image's documents, and nothing of its layers.
///
/// # Errors
/// The source's, for documents, and when the repository cannot be read.
pub fn check_update(
    target: &Target,
    standing: &Standing,
    reference: &str,
    source: &dyn Source,
    options: &ImportOptions,
) -> Result<UpdateCheck, DeployError> {
    let named = source.named_digest(&options.limits)?;
    if let Some((verdict, record)) = named.and_then(|named| standing.with_named(reference, &named)) {
        return Ok(UpdateCheck::unread(reference, verdict, record));
    }
    let image = look_at_documents(Some(&target.repository), source, options)?;
    let known = standing
        .with(&|record| record.image.reference == reference && record.image.manifest == image.manifest);
    let (verdict, record) = match known {
        Some((verdict, record)) => (verdict, Some(record)),
        None => (Verdict::Available, standing.next().or(standing.running.as_ref())),
    };
    let check =
        UpdateCheck { deployment: record.map(|record| record.id), ..UpdateCheck::new(reference, verdict) };
    Ok(check.of(record, &image))
}

impl Standing {
    /// The deployment that was made when the reference named this, and how it stands.
    fn with_named(&self, reference: &str, named: &Digest) -> Option<(Verdict, &Record)> {
        let named = named.to_string();
        self.with(&|record| {
            record.image.reference == reference && record.image.resolved.as_ref() == Some(&named)
        })
    }

    /// The deployment for which this holds, and how it stands. What waits comes before what runs: that is its replacement.
    fn with(&self, holds: &dyn Fn(&Record) -> bool) -> Option<(Verdict, &Record)> {
        let running = self.running.as_ref().filter(|record| holds(record));
        if let Some(staged) = &self.staged {
            let withdrawn = running.map(|record| (Verdict::Withdrawn, record));
            return if holds(staged) { Some((Verdict::Queued, staged)) } else { withdrawn };
        }
        if let Some(record) = running {
            return Some((Verdict::Current, record));
        }
        if let Some(default) = self.default.as_ref().filter(|record| holds(record)) {
            return Some((if self.running.is_none() { Verdict::Current } else { Verdict::Queued }, default));
        }
        let broken = self.broken.iter().find(|record| holds(record))?;
        Some((Verdict::Broken, broken))
    }
}

impl UpdateCheck {
    fn new(reference: &str, verdict: Verdict) -> Self {
        Self {
            reference: reference.to_owned(),
            verdict,
            changed: matches!(verdict, Verdict::Available | Verdict::Withdrawn),
            deployment: None,
            current: None,
            available: None,
            bytes_to_fetch: 0,
            is_at_most: false,
            layers: Vec::new(),
            bound: None,
            bound_source: None,
            warnings: Vec::new(),
            seen: None,
        }
    }

    /// Of what is known without being read.
    fn unread(reference: &str, verdict: Verdict, record: &Record) -> Self {
        let bound = record.bound.iter().map(CheckedBound::of);
        Self {
            deployment: Some(record.id),
            current: Some(CheckedImage::deployed(record)),
            bound: Some(bound.collect()),
            ..Self::new(reference, verdict)
        }
    }

    /// With what was read.
    fn of(self, record: Option<&Record>, image: &SourceImage) -> Self {
        let layer = |layer: &PlannedLayer| CheckedLayer {
            diff_id: layer.diff_id,
            blob_bytes: layer.blob_bytes,
            bytes_to_fetch: layer.bytes_to_fetch,
            present: layer.is_present,
        };
        Self {
            current: record.map(CheckedImage::deployed),
            available: Some(CheckedImage::found(image)),
            bytes_to_fetch: image.bytes_to_fetch(),
            is_at_most: image.layers.iter().any(|layer| layer.is_at_most),
            layers: image.layers.iter().map(layer).collect(),
            warnings: image.warnings.clone(),
            seen: Some(image.clone()),
            ..self
        }
    }
}

impl CheckedImage {
    fn deployed(record: &Record) -> Self {
        Self {
            resolved: record.image.resolved.clone(),
            manifest: record.image.manifest,
            config: record.image.config,
            version: record.os.version.clone(),
            created: None,
        }
    }

    fn found(image: &SourceImage) -> Self {
        // The label of OCI, and that of Docker's time.
        let version = ["org.opencontainers.image.version", "version"];
        Self {
            resolved: Some(image.named.to_string()),
            manifest: image.manifest,
            config: image.config,
            version: version.iter().find_map(|label| image.labels.get(*label)).cloned(),
            created: image.created.clone(),
        }
    }
}
