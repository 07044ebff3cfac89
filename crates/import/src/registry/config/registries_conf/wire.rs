//! The form of `registries.conf`, and what may stand in it.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{Location, MirrorUse, RegistriesConf, Registry};
use crate::registry::config::{CredentialSource, Secret};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Wire {
    #[serde(default)]
    registry: Vec<WireRegistry>,
    credential_helpers: Option<Vec<String>>,
    /// Version 1 had `[registries.search]` and the like.
    registries: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireRegistry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    proxy: Option<Secret>,
    #[serde(default)]
    mirror: Vec<WireMirror>,
    #[serde(default)]
    mirror_by_digest_only: bool,
    pull_from_mirror: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireMirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    proxy: Option<Secret>,
    pull_from_mirror: Option<String>,
}

impl Wire {
    /// The settings of `file`. The error is the reason alone.
    pub(super) fn check(self, file: &str) -> Result<RegistriesConf, String> {
        if self.registries.is_some() {
            return Err(
                "it is of version 1 ([registries.search] and the like): write [[registry]] tables".to_owned()
            );
        }
        let mut registries = BTreeMap::new();
        for registry in self.registry {
            let (prefix, registry) = registry.check(file)?;
            // containers/image: of two with one prefix in one file, the first counts.
            registries.entry(prefix).or_insert(registry);
        }
        check_contradictions(&registries)?;
        let names = self.credential_helpers.map(|names| names.into_iter().map(CredentialSource::from_name));
        Ok(RegistriesConf { registries, credential_sources: names.map(Iterator::collect) })
    }
}

impl WireRegistry {
    fn check(self, file: &str) -> Result<(String, Registry), String> {
        let name = self.location.as_deref().map(check_name).transpose()?;
        let prefix = match (&self.prefix, &name) {
            (Some(prefix), _) => check_prefix(prefix)?,
            (None, Some(location)) => location.clone(),
            (None, None) => return Err("a [[registry]] has neither prefix nor location".to_owned()),
        };
        if name.is_none() && !prefix.starts_with("*.") {
            return Err(format!("[[registry]] {prefix:?} has no location, and is no wildcard"));
        }
        if self.pull_from_mirror.is_some() {
            return Err(format!(
                "[[registry]] {prefix:?} has pull-from-mirror, which belongs to its mirrors"
            ));
        }
        let by_digest_only = self.mirror_by_digest_only;
        let mirrors = self.mirror.into_iter().map(|mirror| mirror.check(&prefix, by_digest_only));
        let mirrors = mirrors.collect::<Result<_, _>>()?;
        let primary = Location { name, insecure: self.insecure, proxy: check_proxy(self.proxy)? };
        Ok((prefix, Registry { file: file.to_owned(), blocked: self.blocked, primary, mirrors }))
    }
}

impl WireMirror {
    fn check(self, prefix: &str, by_digest_only: bool) -> Result<(Location, MirrorUse), String> {
        let used = match (self.pull_from_mirror.as_deref(), by_digest_only) {
            (None | Some("all"), false) => MirrorUse::All,
            (None, true) | (Some("digest-only"), false) => MirrorUse::DigestOnly,
            (Some("tag-only"), false) => MirrorUse::TagOnly,
            (Some(_), true) => {
                return Err(format!(
                    "[[registry]] {prefix:?} has mirror-by-digest-only and pull-from-mirror"
                ));
            }
            (Some(other), false) => {
                return Err(format!(
                    "pull-from-mirror of a mirror of {prefix:?} is {other:?}, not all, digest-only or tag-only"
                ));
            }
        };
        let name = Some(check_name(&self.location)?);
        Ok((Location { name, insecure: self.insecure, proxy: check_proxy(self.proxy)? }, used))
    }
}

/// `HOST[:PORT][/PATH]`, without slashes at its end.
fn check_name(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('/');
    let refuse = |reason: &str| Err(format!("{text:?} {reason}"));
    if name.is_empty() {
        return refuse("is no name of a registry or a part of one");
    }
    if name.contains("://") {
        return refuse("has a scheme; names of registries have none");
    }
    let after_host = name.split_once('/').map_or("", |(_, path)| path);
    if name.contains('@') || after_host.contains(':') {
        return refuse("has a tag or a digest, which is not supported here");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]*".contains(c);
    if !name.chars().all(allowed) || name.starts_with('/') || name.contains("//") || name.contains("..") {
        return refuse("is no name of a registry or a part of one");
    }
    if name.trim_start_matches("*.").contains('*') {
        return refuse("has a * elsewhere than in *.DOMAIN");
    }
    Ok(name.to_owned())
}

fn check_prefix(text: &str) -> Result<String, String> {
    let prefix = check_name(text)?;
    if prefix.strip_prefix("*.").is_some_and(|domain| domain.is_empty() || domain.contains([':', '/'])) {
        return Err(format!("prefix {text:?} is a wildcard with more than a domain"));
    }
    Ok(prefix)
}

/// The schemes that containers/image takes. The URL is not told: it may have a password.
fn check_proxy(proxy: Option<Secret>) -> Result<Option<Secret>, String> {
    let known = ["http://", "https://", "socks5://", "socks5h://"];
    match proxy {
        Some(proxy) if proxy.is_empty() => Ok(None),
        Some(proxy) if !known.iter().any(|scheme| proxy.expose().starts_with(scheme)) => {
            Err("a proxy has to begin with http://, https://, socks5:// or socks5h://".to_owned())
        }
        other => Ok(other),
    }
}

/// One location cannot be both insecure and not, or both blocked and not, by the way it was asked for.
fn check_contradictions(registries: &BTreeMap<String, Registry>) -> Result<(), String> {
    let mut known: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (prefix, registry) in registries {
        let name = registry.primary.name.as_deref().unwrap_or(prefix);
        let settings = (registry.primary.insecure, registry.blocked);
        if *known.entry(name).or_insert(settings) != settings {
            return Err(format!("location {name:?} is there twice, with contradicting insecure or blocked"));
        }
    }
    Ok(())
}
