//! [`Policy`]: containers-policy.json(5): which images this machine takes, and with whose signature.
//!
//! What lives here: the requirements, by transport and scope, and which of them count for an image. The file's form is
//! in `wire.rs`, the scopes of an image in `scope.rs`. What does not: fetching signatures.
//!
//! Invariant, fail closed: an unknown word anywhere in the file refuses the file; a requirement that we know and cannot
//! check (`signedBy`, Fulcio, PKI, Rekor) denies the images in its scope; of several requirements all have to hold.

mod identity;
mod scope;
mod strict;
mod wire;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use sealstone_store::disk::Disk;

use self::identity::IdentityRule;
pub use self::{identity::ImageName, scope::PolicyScope};
use super::{
    read,
    reason::json_reason,
    sigstore::{PublicKey, Signature},
};
use crate::{
    Limits,
    error::{ImportError, Result, few},
    ids::ManifestDigest,
};

/// What `policy.json` says.
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    default: Vec<Requirement>,
    /// By transport, then by scope; the scope `""` is the transport's default.
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// One requirement.
#[derive(Clone, Debug)]
enum Requirement {
    /// `insecureAcceptAnything`.
    Accept,
    /// `reject`.
    Reject,
    /// `sigstoreSigned` by one of some keys.
    Signed { keys: Keys, identity: IdentityRule },
    /// One that we know and cannot check: what it asks for.
    Unsupported(String),
}

/// Where public keys are.
#[derive(Clone, Debug)]
enum Keys {
    Files(Vec<PathBuf>),
    /// PEM.
    Given(Vec<Vec<u8>>),
}

/// What an image has to have before it is used: made by [`Policy::demand`].
#[derive(Clone, Debug)]
pub struct Demand {
    /// The file and the scope, for errors.
    rule: String,
    signed: Vec<(Vec<PublicKey>, IdentityRule)>,
}

impl Policy {
    /// Reads a `policy.json`. `file` names it in errors.
    ///
    /// # Errors
    /// [`ImportError::Config`] when it breaks the format, or has a word that is not in it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let wire: wire::Wire =
            serde_json::from_slice(bytes).map_err(|error| ImportError::config(file, json_reason(&error)))?;
        wire.check(file).map_err(|reason| ImportError::config(file, reason))
    }

    /// Reads the first of `files` that is there; `None` when none is, and nobody has a policy.
    ///
    /// # Errors
    /// When one is there and cannot be read, or [`parse`](Self::parse) refuses it.
    pub fn load(disk: &Arc<dyn Disk>, files: &[PathBuf], limits: &Limits) -> Result<Option<Self>> {
        for file in files {
            if let Some(bytes) = read::file(disk, file, limits)? {
                return Self::parse(&file.display().to_string(), &bytes).map(Some);
            }
        }
        Ok(None)
    }

    /// What images of a scope have to have, with the keys read from `disk`.
    ///
    /// # Errors
    /// [`ImportError::Denied`] when they are rejected, or when what is asked for cannot be checked;
    /// [`ImportError::Config`] when a key cannot be used.
    pub fn demand(&self, disk: &Arc<dyn Disk>, scope: &PolicyScope, limits: &Limits) -> Result<Demand> {
        let (place, requirements) = self.requirements(scope);
        let rule = format!("{} {place}", self.file);
        let denied = |reason: &str| {
            Err(ImportError::Denied { what: scope.to_string(), reason: format!("{rule} {reason}") })
        };
        let mut signed = Vec::new();
        for requirement in requirements {
            match requirement {
                Requirement::Accept => {}
                Requirement::Reject => return denied("rejects it"),
                Requirement::Unsupported(what) => {
                    return denied(&format!("asks for {what}, which cannot be checked here"));
                }
                Requirement::Signed { keys, identity } => {
                    signed.push((keys.read(disk, &self.file, limits)?, identity.clone()));
                }
            }
        }
        Ok(Demand { rule, signed })
    }

    /// The requirements of the most specific scope, and its place in the file.
    fn requirements(&self, scope: &PolicyScope) -> (String, &[Requirement]) {
        let transport = scope.transport();
        if let Some(scopes) = self.transports.get(transport) {
            for name in scope.names() {
                if let Some(requirements) = scopes.get(name) {
                    return (format!("({transport}, scope {name:?})"), requirements);
                }
            }
        }
        ("(its default)".to_owned(), &self.default)
    }
}

impl Keys {
    fn read(&self, disk: &Arc<dyn Disk>, policy: &str, limits: &Limits) -> Result<Vec<PublicKey>> {
        match self {
            Self::Given(keys) => keys.iter().map(|pem| PublicKey::from_pem(policy, pem)).collect(),
            Self::Files(paths) => {
                let read = |path: &PathBuf| {
                    let name = path.display().to_string();
                    let missing = || {
                        ImportError::config(&name, format!("{policy} names it as a key, and it is not there"))
                    };
                    let pem = read::file(disk, path, limits)?.ok_or_else(missing)?;
                    PublicKey::from_pem(&name, &pem)
                };
                paths.iter().map(read).collect()
            }
        }
    }
}

impl Demand {
    /// Whether signatures have to be fetched at all.
    #[must_use]
    pub fn needs_signatures(&self) -> bool {
        !self.signed.is_empty()
    }

    /// Checks an image's signatures: each requirement needs one that is by one of its keys, over this manifest's digest,
    /// for a name that fits.
    ///
    /// # Errors
    /// [`ImportError::Denied`], with the reason for each signature.
    pub fn check(
        &self,
        image: &ImageName,
        manifest: &ManifestDigest,
        signatures: &[Signature],
    ) -> Result<()> {
        for (keys, identity) in &self.signed {
            let mut reasons = Vec::new();
            for (number, signature) in signatures.iter().enumerate() {
                match check_one(signature, keys, identity, image, manifest) {
                    Ok(()) => break,
                    Err(reason) => reasons.push(format!("signature {}: {reason}", number.saturating_add(1))),
                }
            }
            if reasons.len() == signatures.len() {
                let told = if reasons.is_empty() {
                    "it has none".to_owned()
                } else {
                    few(reasons.into_iter()).join("; ")
                };
                let reason = format!("{} asks for a signature; {told}", self.rule);
                return Err(ImportError::Denied { what: format!("{image} ({manifest})"), reason });
            }
        }
        Ok(())
    }
}

/// The error is the reason.
fn check_one(
    signature: &Signature,
    keys: &[PublicKey],
    identity: &IdentityRule,
    image: &ImageName,
    manifest: &ManifestDigest,
) -> Result<(), String> {
    let claim = signature.verify(keys)?;
    if claim.manifest != *manifest {
        return Err(format!("it is over {}", claim.manifest));
    }
    let signed: ImageName = claim.reference.parse()?;
    if identity.accepts(image, &signed) { Ok(()) } else { Err(format!("it is for {signed}")) }
}

#[cfg(test)]
mod tests;
