//! [`RegistriesConf`]: containers-registries.conf(5), version 2: where a registry's images really are, and may be.
//!
//! What lives here: the settings, reading them from a file, and laying drop-ins over them. The file's form is in
//! `wire.rs`, which endpoints a repository then has in `resolve.rs`. Not read: short names
//! (`unqualified-search-registries`, `aliases`), since references are full ones here.
//!
//! Refused rather than half understood: version 1; a prefix or location with a tag, a digest or a scheme; one location
//! with contradicting `insecure` or `blocked`.

mod resolve;
mod wire;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_store::disk::Disk;

pub use self::resolve::Endpoint;
use super::{CredentialSource, Secret, read, reason::toml_reason};
use crate::{
    Limits,
    error::{ImportError, Result},
};

/// What the files say about registries. The default says nothing: every registry is itself.
#[derive(Clone, Debug, Default)]
pub struct RegistriesConf {
    /// By prefix.
    registries: BTreeMap<String, Registry>,
    credential_sources: Option<Vec<CredentialSource>>,
}

/// One `[[registry]]`, without its prefix.
#[derive(Clone, Debug)]
struct Registry {
    /// Where it was read, for errors.
    file: String,
    blocked: bool,
    primary: Location,
    mirrors: Vec<(Location, MirrorUse)>,
}

/// What stands in the place of a prefix.
#[derive(Clone, Debug)]
struct Location {
    /// `HOST[:PORT][/PATH]`; `None` leaves the name as it is, which only a wildcard's own location can.
    name: Option<String>,
    insecure: bool,
    proxy: Option<Secret>,
}

/// `pull-from-mirror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MirrorUse {
    All,
    DigestOnly,
    TagOnly,
}

impl RegistriesConf {
    /// Reads one file, `registries.conf` or a drop-in. `file` names it in errors.
    ///
    /// # Errors
    /// [`ImportError::Config`] when it is not of version 2, or contradicts itself.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| ImportError::config(file, reason);
        let text = str::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
        let wire: wire::Wire = toml::from_str(text).map_err(|error| refuse(toml_reason(text, &error)))?;
        wire.check(file).map_err(refuse)
    }

    /// Lays a drop-in over this: it replaces what is there for its prefixes, and the list of helpers if it has one.
    pub fn overlay(&mut self, later: Self) {
        self.registries.extend(later.registries);
        if let Some(sources) = later.credential_sources {
            self.credential_sources = Some(sources);
        }
    }

    /// Reads the first of `files` that is there, and over it every `*.conf` of each of `folders`, by name.
    ///
    /// # Errors
    /// When a file is there and cannot be read, or [`parse`](Self::parse) refuses it.
    pub fn load(
        disk: &Arc<dyn Disk>,
        files: &[PathBuf],
        folders: &[PathBuf],
        limits: &Limits,
    ) -> Result<Self> {
        let mut settings = Self::default();
        for file in files {
            if let Some(bytes) = read::file(disk, file, limits)? {
                settings = Self::parse(&file.display().to_string(), &bytes)?;
                break;
            }
        }
        for folder in folders {
            for name in read::names(disk, folder)?.unwrap_or_default() {
                let path = folder.join(&name);
                if Path::new(&name).extension().is_none_or(|extension| extension != "conf") {
                    continue;
                }
                if let Some(bytes) = read::file(disk, &path, limits)? {
                    settings.overlay(Self::parse(&path.display().to_string(), &bytes)?);
                }
            }
        }
        Ok(settings)
    }

    /// Where credentials are looked for, in order (`credential-helpers`); without a word on it, in auth files.
    #[must_use]
    pub fn credential_sources(&self) -> &[CredentialSource] {
        match self.credential_sources.as_deref() {
            Some(sources) if !sources.is_empty() => sources,
            _ => &[CredentialSource::AuthFiles],
        }
    }
}

#[cfg(test)]
mod tests;
