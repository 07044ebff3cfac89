//! Overlays: files of the machine's owner below `/etc` and `/var`, as layers on top of an image.
//!
//! What lives here: what an overlay is and how a deployment's list changes; making one out of a folder, a tar or single
//! files (`import.rs`, `pack.rs`, `files.rs`); putting them on an image's tree (`lay.rs`). What does not: the merge with
//! what the machine changed itself (`etc/`), and the refs that keep an overlay's layer (`keep.rs`).
//! Invariants: an overlay has nothing outside `/etc` and `/var`; it is a layer of the store, known by its diff_id, so the
//! same content is the same overlay. How each is laid: `docs/etc.md`.

mod files;
mod import;
mod lay;
mod pack;
mod tar_writer;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use sealstone_import::DiffId;
use serde::{Deserialize, Serialize};

pub use files::{FileBody, OverlayFile};
pub use import::{ImportedOverlay, OverlaySource, import_overlay, measure_overlay};
pub(crate) use lay::{Furnished, furnish};

use crate::DeployError;

/// The longest name of an overlay, in bytes: that of a path, for overlays that are one file.
const NAME_BYTES: usize = 4096;

/// An overlay of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// What the machine's owner calls it.
    pub name: OverlayName,
    /// Its layer.
    #[serde(with = "crate::record::text")]
    pub diff_id: DiffId,
}

/// The name of an overlay: unique in a deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverlayName(String);

impl OverlayName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OverlayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OverlayName {
    type Err = DeployError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reason = if text.is_empty() || text.len() > NAME_BYTES {
            "it has 1 to 4096 bytes"
        } else if text.chars().any(|c| c.is_control() || c == '=') {
            "it has no control characters and no equals sign"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(DeployError::Invalid { what: "overlay name", text: text.to_owned(), reason: reason.into() })
    }
}

impl Serialize for OverlayName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OverlayName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How the overlays of a deployment differ from those of the one before it, which are carried over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayChanges {
    /// Overlays that are added, or take the place of those of their names.
    pub add: Vec<Overlay>,
    /// Overlays that are not carried over.
    pub remove: Vec<OverlayName>,
}

impl OverlayChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// The list of a deployment, by that of the one before it: an overlay keeps its place, a new one comes on top.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Missing`] when one that shall go is not there.
    pub fn apply(&self, carried: &[Overlay]) -> Result<Vec<Overlay>, DeployError> {
        let mut overlays = carried.to_vec();
        for name in &self.remove {
            if !overlays.iter().any(|overlay| overlay.name == *name) {
                return Err(sealstone_store::Error::Missing { what: format!("overlay {name}") }.into());
            }
            overlays.retain(|overlay| overlay.name != *name);
        }
        for added in &self.add {
            match overlays.iter_mut().find(|overlay| overlay.name == added.name) {
                Some(place) => *place = added.clone(),
                None => overlays.push(added.clone()),
            }
        }
        Ok(overlays)
    }
}
