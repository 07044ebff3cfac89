//! [`Guard`]: what of a registry may be used before its signatures are known, and after; and how signatures are fetched.
//!
//! They are where cosign puts them: in the image's own repository, at the tag `sha256-HEX.sig`, a manifest whose layers are
//! payloads, each with its signature in an annotation. They are fetched when a policy asks for one, and only then: no
//! file (`registries.d`) can switch that off. Whether one counts is for `config/policy.rs` to say.
//!
//! Invariant, fail closed: of a guarded source nothing but documents comes out before one signature that satisfies
//! the policy was found, over the manifest, or over the index that the reference names: a signed index vouches for what it
//! names by digest.

use std::sync::{Mutex, PoisonError};

use super::{
    blob::RegistryBlob,
    client::Client,
    config::{Demand, ImageName, PAYLOAD_MEDIA_TYPE, SIGNATURE_ANNOTATION, Signature, signature_tag},
};
use crate::{
    Digest, ManifestDigest,
    error::{ImportError, Result},
    limits::{SIGNATURE_BYTES, SIGNATURES},
    oci::{Descriptor, Document, MediaType},
    source::fill,
};

/// Stands before a source for which a policy wants signatures.
#[derive(Debug)]
pub(super) struct Guard {
    name: ImageName,
    demand: Demand,
    standing: Mutex<Standing>,
}

/// What is known of the image.
#[derive(Debug)]
enum Standing {
    /// Nothing.
    Unknown,
    /// The reference names an index that is not signed as it should be, and why; its manifests may be.
    Index(String),
    /// It is signed.
    Signed,
}

impl Guard {
    pub(super) const fn new(name: ImageName, demand: Demand) -> Self {
        Self { name, demand, standing: Mutex::new(Standing::Unknown) }
    }

    /// Looks at what the reference names: a manifest has to be signed, an index may be.
    pub(super) fn root(
        &self,
        descriptor: &Descriptor,
        fetch: impl Fn(&ManifestDigest) -> Result<Vec<Signature>>,
    ) -> Result<()> {
        let mut standing = self.standing();
        if !matches!(*standing, Standing::Unknown) {
            return Ok(());
        }
        *standing = match self.check(descriptor, fetch) {
            Ok(()) => Standing::Signed,
            Err(ImportError::Denied { reason, .. }) if *descriptor.media_type() == MediaType::Index => {
                Standing::Index(reason)
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Looks at a manifest that is about to be used.
    pub(super) fn manifest(
        &self,
        descriptor: &Descriptor,
        fetch: impl Fn(&ManifestDigest) -> Result<Vec<Signature>>,
    ) -> Result<()> {
        let mut standing = self.standing();
        let of_index = match &*standing {
            Standing::Signed => return Ok(()),
            Standing::Index(reason) => Some(reason.clone()),
            Standing::Unknown => None,
        };
        match (self.check(descriptor, fetch), of_index) {
            (Ok(()), _) => *standing = Standing::Signed,
            (Err(ImportError::Denied { what, reason }), Some(of_index)) => {
                let reason =
                    format!("{reason}; and the index that names it is not signed either: {of_index}");
                return Err(ImportError::Denied { what, reason });
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }

    /// Whether blobs may be used.
    pub(super) fn blob(&self) -> Result<()> {
        if matches!(*self.standing(), Standing::Signed) {
            return Ok(());
        }
        let reason = "its signature was not looked at yet".to_owned();
        Err(ImportError::Denied { what: self.name.to_string(), reason })
    }

    fn check(
        &self,
        descriptor: &Descriptor,
        fetch: impl Fn(&ManifestDigest) -> Result<Vec<Signature>>,
    ) -> Result<()> {
        let digest = ManifestDigest::new(*descriptor.digest());
        self.demand.check(&self.name, &digest, &fetch(&digest)?)
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signatures that a repository has for a manifest, none of them believed yet.
///
/// # Errors
/// [`ImportError::Missing`] when there are none; when they break their format, or are too many.
pub(super) fn fetch(client: &Client, manifest: &ManifestDigest, limit: u64) -> Result<Vec<Signature>> {
    let tag = signature_tag(manifest);
    let what = format!("signatures {tag} of {}", client.place());
    let body = client.manifest(&tag, limit)?;
    let document = match Document::parse(&body.bytes, None) {
        Ok(Document::Manifest(document)) => document,
        Ok(Document::Index(_)) => {
            return Err(ImportError::malformed(what, "they are an index, not a manifest"));
        }
        Err(reason) => return Err(ImportError::malformed(what, reason)),
    };
    let payload = MediaType::parse(PAYLOAD_MEDIA_TYPE);
    let mut layers = document.layers;
    layers.retain(|layer| *layer.media_type() == payload && layer.annotation(SIGNATURE_ANNOTATION).is_some());
    if layers.len() > SIGNATURES {
        let limit = SIGNATURES as u64;
        return Err(ImportError::TooBig { what: format!("{what} ({})", layers.len()), limit });
    }
    let signatures = layers.iter().map(|layer| {
        let signature = layer.annotation(SIGNATURE_ANNOTATION).unwrap_or_default().to_owned();
        Ok(Signature::new(payload_of(client, layer)?, signature))
    });
    signatures.collect()
}

fn payload_of(client: &Client, layer: &Descriptor) -> Result<Vec<u8>> {
    let what = || format!("signature's payload {}", layer.digest());
    if layer.size() > SIGNATURE_BYTES {
        return Err(ImportError::TooBig { what: what(), limit: SIGNATURE_BYTES });
    }
    let size = usize::try_from(layer.size()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.saturating_add(1)];
    let found = fill(&mut RegistryBlob::open(client, layer)?, &mut bytes)?;
    if found != size {
        return Err(ImportError::Size { what: what(), expected: layer.size(), actual: found as u64 });
    }
    bytes.truncate(size);
    let actual = Digest::of(layer.digest().algorithm(), &bytes);
    if actual == *layer.digest() {
        Ok(bytes)
    } else {
        Err(ImportError::digest(what(), layer.digest(), &actual))
    }
}
