//! [`AuthFile`]: containers-auth.json(5), Docker's `config.json`, and the old `.dockercfg`.
//!
//! What lives here: reading one, and finding the entry for a repository. What does not: which files there are and in
//! which order, running helpers.
//!
//! Order, as in containers/image: the file's helper for the host; then the entry with the longest key of
//! `HOST/NAMESPACE/…/REPOSITORY` down to `HOST`; then, as Docker does, the helper for everything else (`credsStore`).
//! Keys that are URLs (`https://index.docker.io/v1/`) count as their host, and Docker's three names as one.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use sealstone_store::disk::Disk;
use serde::Deserialize;

use super::{Credentials, HelperRequest, Secret, read, reason::json_reason};
use crate::{
    Limits,
    error::{ImportError, Result},
};

/// The one name that Docker's registry has here.
const DOCKER: &str = "docker.io";
/// The name that Docker and its helpers know it by.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";

/// The credentials that one file has.
#[derive(Clone, Debug)]
pub struct AuthFile {
    file: String,
    /// By canonical key.
    entries: BTreeMap<String, Entry>,
    /// Name of the helper and the key as it is written, by canonical host.
    helpers: BTreeMap<String, (String, String)>,
    fallback: Option<String>,
}

/// What a file has for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The credentials themselves.
    Credentials(Credentials),
    /// A helper has them, perhaps.
    Helper(HelperRequest),
}

#[derive(Clone, Debug)]
enum Entry {
    /// Nothing but the key: a helper has the rest, or nobody.
    Empty,
    Credentials(Credentials),
    /// Told when somebody looks for it, so that it harms no other registry.
    Broken(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    auths: Option<BTreeMap<String, Option<WireEntry>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct WireEntry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl AuthFile {
    /// Reads an `auth.json` or a `config.json`. `file` names it in errors.
    ///
    /// # Errors
    /// [`ImportError::Config`] when it is not of that format. An entry whose `auth` is broken is an error only for those
    /// who look for it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| refuse(file, &error))?;
        let helpers = wire.cred_helpers.unwrap_or_default().into_iter();
        Ok(Self {
            file: file.to_owned(),
            entries: by_canonical_key(wire.auths.unwrap_or_default(), canonical_key),
            helpers: helpers.map(|(key, name)| (canonical_key(&key), (name, key))).collect(),
            fallback: wire.creds_store.filter(|name| !name.is_empty()),
        })
    }

    /// Reads a `.dockercfg`: the entries alone, for hosts only.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_dockercfg(file: &str, bytes: &[u8]) -> Result<Self> {
        let entries = serde_json::from_slice(bytes).map_err(|error| refuse(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            entries: by_canonical_key(entries, canonical_host),
            helpers: BTreeMap::new(),
            fallback: None,
        })
    }

    /// Reads a file, by its name a `.dockercfg` or not; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read, or [`parse`](Self::parse) refuses it.
    pub fn load(disk: &Arc<dyn Disk>, path: &Path, limits: &Limits) -> Result<Option<Self>> {
        let Some(bytes) = read::file(disk, path, limits)? else { return Ok(None) };
        let parse = match path.file_name() {
            Some(name) if name == ".dockercfg" => Self::parse_dockercfg,
            _ => Self::parse,
        };
        parse(&path.display().to_string(), &bytes).map(Some)
    }

    /// What the file has for `repository` (without its host; empty for the host alone) at `host` (`HOST[:PORT]`).
    ///
    /// # Errors
    /// [`ImportError::Config`] when it has an entry that cannot be read.
    pub fn lookup(&self, host: &str, repository: &str) -> Result<Option<Lookup>> {
        let host = canonical_host(host);
        if let Some((helper, key)) = self.helpers.get(&host) {
            return HelperRequest::new(helper, key, &self.file).map(|request| Some(Lookup::Helper(request)));
        }
        match self.entry(&host, repository) {
            Some((_, Entry::Credentials(credentials))) => {
                return Ok(Some(Lookup::Credentials(credentials.clone())));
            }
            Some((key, Entry::Broken(reason))) => {
                return Err(ImportError::config(
                    &self.file,
                    format!("the entry {key:?} is broken: {reason}"),
                ));
            }
            Some((_, Entry::Empty)) | None => {}
        }
        let Some(helper) = &self.fallback else { return Ok(None) };
        let server = if host == DOCKER { DOCKER_KEY } else { &host };
        HelperRequest::new(helper, server, &self.file).map(|request| Some(Lookup::Helper(request)))
    }

    /// The most specific entry, with its key.
    fn entry(&self, host: &str, repository: &str) -> Option<(&String, &Entry)> {
        let mut key = if repository.is_empty() { host.to_owned() } else { format!("{host}/{repository}") };
        loop {
            if let Some(found) = self.entries.get_key_value(&key) {
                return Some(found);
            }
            key.truncate(key.rfind('/')?);
        }
    }
}

/// Entries by canonical keys. A key that is written canonically goes before one that only means the same.
fn by_canonical_key(
    wire: BTreeMap<String, Option<WireEntry>>,
    canonical: impl Fn(&str) -> String,
) -> BTreeMap<String, Entry> {
    let entries = wire.into_iter().map(|(key, entry)| (canonical(&key), key, entry));
    let (exact, other): (Vec<_>, Vec<_>) = entries.partition(|(canonical, key, _)| canonical == key);
    let mut found = BTreeMap::new();
    for (canonical, _, entry) in exact.into_iter().chain(other) {
        found.entry(canonical).or_insert_with(|| entry.map_or(Entry::Empty, Entry::read));
    }
    found
}

impl Entry {
    fn read(wire: WireEntry) -> Self {
        let filled = |secret: Option<Secret>| secret.filter(|secret| !secret.is_empty());
        let credentials = if let Some(token) = filled(wire.identitytoken) {
            Credentials::IdentityToken(token)
        } else if let Some(token) = filled(wire.registrytoken) {
            Credentials::RegistryToken(token)
        } else if let Some(auth) = filled(wire.auth) {
            match Credentials::decode_auth(auth.expose()) {
                Some(credentials) => credentials,
                None => return Self::Broken("its auth is not the base64 of USER:PASSWORD"),
            }
        } else {
            let password = wire.password.unwrap_or_else(|| Secret::new(""));
            Credentials::User { name: wire.username.unwrap_or_default(), password }
        };
        if credentials.is_empty() { Self::Empty } else { Self::Credentials(credentials) }
    }
}

fn refuse(file: &str, error: &serde_json::Error) -> ImportError {
    ImportError::config(file, json_reason(error))
}

/// `HOST[:PORT][/PATH]` with the host as [`canonical_host`] has it; only the host of a URL.
fn canonical_key(key: &str) -> String {
    if key.starts_with("http://") || key.starts_with("https://") {
        return canonical_host(key);
    }
    match key.split_once('/') {
        None => canonical_host(key),
        Some((host, path)) => format!("{}/{path}", canonical_host(host)),
    }
}

/// The host and port of a key or URL, in lower case, by the one name that it has here.
fn canonical_host(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = key.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => DOCKER.to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests;
