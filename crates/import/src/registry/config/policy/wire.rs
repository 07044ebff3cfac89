//! The form of `policy.json`: strict, so that a typing error never makes a policy weaker.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, de::IgnoredAny};

use super::{IdentityRule, ImageName, Keys, Policy, Requirement, strict::StrictMap};
use crate::base64::decode_base64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    default: Vec<WireRequirement>,
    #[serde(default)]
    transports: StrictMap<StrictMap<Vec<WireRequirement>>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum WireRequirement {
    InsecureAcceptAnything(Nothing),
    Reject(Nothing),
    SignedBy(IgnoredAny),
    SignedBaseLayer(IgnoredAny),
    SigstoreSigned(Box<SigstoreSigned>),
}

/// No field but the type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SigstoreSigned {
    key_path: Option<PathBuf>,
    key_paths: Option<Vec<PathBuf>>,
    key_data: Option<String>,
    key_datas: Option<Vec<String>>,
    fulcio: Option<IgnoredAny>,
    pki: Option<IgnoredAny>,
    rekor_public_key_path: Option<IgnoredAny>,
    rekor_public_key_paths: Option<IgnoredAny>,
    rekor_public_key_data: Option<IgnoredAny>,
    rekor_public_key_datas: Option<IgnoredAny>,
    signed_identity: Option<WireIdentity>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum WireIdentity {
    MatchExact(Nothing),
    MatchRepoDigestOrExact(Nothing),
    MatchRepository(Nothing),
    ExactReference(ExactReference),
    ExactRepository(ExactRepository),
    RemapIdentity(RemapIdentity),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExactReference {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExactRepository {
    docker_repository: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RemapIdentity {
    prefix: String,
    signed_prefix: String,
}

impl Wire {
    /// The policy of `file`. The error is the reason alone.
    pub(super) fn check(self, file: &str) -> Result<Policy, String> {
        let mut transports = BTreeMap::new();
        for (transport, scopes) in self.transports.0 {
            let mut checked = BTreeMap::new();
            for (scope, requirements) in scopes.0 {
                let place = format!("{transport}, scope {scope:?}");
                check_scope(&transport, &scope).map_err(|reason| format!("{place}: {reason}"))?;
                let requirements = check_all(requirements).map_err(|reason| format!("{place}: {reason}"))?;
                checked.insert(scope, requirements);
            }
            transports.insert(transport, checked);
        }
        let default = check_all(self.default).map_err(|reason| format!("default: {reason}"))?;
        Ok(Policy { file: file.to_owned(), default, transports })
    }
}

fn check_all(wire: Vec<WireRequirement>) -> Result<Vec<Requirement>, String> {
    if wire.is_empty() {
        return Err("there are no requirements; insecureAcceptAnything is the word for that".to_owned());
    }
    wire.into_iter().map(WireRequirement::check).collect()
}

/// A scope that no image can have would silently not count.
fn check_scope(transport: &str, scope: &str) -> Result<(), &'static str> {
    let is_path = matches!(transport, "dir" | "oci" | "oci-archive" | "sif");
    let is_wild = |scope: &str| scope.trim_start_matches("*.").contains('*');
    if scope.is_empty() {
        Ok(())
    } else if matches!(transport, "docker-archive" | "tarball") {
        Err("this transport has no scopes but \"\"")
    } else if is_path && !scope.starts_with('/') {
        Err("a path has to be absolute")
    } else if is_path
        && (scope.ends_with('/') || scope.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")))
    {
        Err("a path has to be clean, and \"/\" is written \"\"")
    } else if matches!(transport, "docker" | "atomic") && is_wild(scope) {
        Err("a * is good in *.DOMAIN only")
    } else {
        Ok(())
    }
}

impl WireRequirement {
    fn check(self) -> Result<Requirement, String> {
        Ok(match self {
            Self::InsecureAcceptAnything(Nothing {}) => Requirement::Accept,
            Self::Reject(Nothing {}) => Requirement::Reject,
            Self::SignedBy(_) => Requirement::Unsupported("a GPG signature (signedBy)".to_owned()),
            Self::SignedBaseLayer(_) => Requirement::Unsupported("signedBaseLayer".to_owned()),
            Self::SigstoreSigned(signed) => return signed.check(),
        })
    }
}

impl SigstoreSigned {
    fn check(self) -> Result<Requirement, String> {
        let identity =
            self.signed_identity.map_or(Ok(IdentityRule::RepoDigestOrExact), WireIdentity::check)?;
        let rekor = self.rekor_public_key_path.is_some()
            || self.rekor_public_key_paths.is_some()
            || self.rekor_public_key_data.is_some()
            || self.rekor_public_key_datas.is_some();
        let certificates = usize::from(self.fulcio.is_some()) + usize::from(self.pki.is_some());
        let mut given = Vec::new();
        given.extend(self.key_path.map(|path| Keys::Files(vec![path])));
        given.extend(self.key_paths.map(Keys::Files));
        for keys in self.key_data.map(|key| vec![key]).into_iter().chain(self.key_datas) {
            given.push(Keys::Given(keys.iter().map(|key| decode_key(key)).collect::<Result<_, _>>()?));
        }
        if given.len() + certificates != 1 {
            return Err(
                "sigstoreSigned wants exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, pki"
                    .to_owned(),
            );
        }
        match given.pop() {
            None => {
                Ok(Requirement::Unsupported("a sigstore signature by certificate (fulcio, pki)".to_owned()))
            }
            Some(_) if rekor => Ok(Requirement::Unsupported("an entry in a Rekor log".to_owned())),
            Some(Keys::Files(paths)) if paths.is_empty() => Err("keyPaths is empty".to_owned()),
            Some(Keys::Given(keys)) if keys.is_empty() => Err("keyDatas is empty".to_owned()),
            Some(keys) => Ok(Requirement::Signed { keys, identity }),
        }
    }
}

fn decode_key(text: &str) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    decode_base64(text.as_bytes(), &mut pem).ok_or("a key is not base64")?;
    Ok(pem)
}

impl WireIdentity {
    fn check(self) -> Result<IdentityRule, String> {
        Ok(match self {
            Self::MatchExact(Nothing {}) => IdentityRule::Exact,
            Self::MatchRepoDigestOrExact(Nothing {}) => IdentityRule::RepoDigestOrExact,
            Self::MatchRepository(Nothing {}) => IdentityRule::Repository,
            Self::ExactReference(exact) => {
                let name: ImageName = exact.docker_reference.parse()?;
                if name.is_bare() {
                    return Err(format!("exactReference: {name} has no tag and no digest"));
                }
                IdentityRule::ThisReference(name)
            }
            Self::ExactRepository(exact) => IdentityRule::ThisRepository(exact.docker_repository.parse()?),
            Self::RemapIdentity(RemapIdentity { prefix, signed_prefix }) => {
                check_remapped(&prefix)?;
                check_remapped(&signed_prefix)?;
                IdentityRule::Remap { prefix, signed_prefix }
            }
        })
    }
}

/// A host or the beginning of a full name, without a tag.
fn check_remapped(prefix: &str) -> Result<(), String> {
    let host = prefix.split('/').next().unwrap_or_default();
    let whole = if host == prefix { format!("{prefix}/x") } else { prefix.to_owned() };
    match whole.parse::<ImageName>() {
        Ok(name) if name.name() == whole => Ok(()),
        _ => Err(format!("remapIdentity: {prefix:?} is no host, namespace or repository in full")),
    }
}
