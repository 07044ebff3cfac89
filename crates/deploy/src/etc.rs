//! `/etc` of a new deployment: the image's, with what was changed on this machine.
//!
//! What lives here: what the caller wants of conflicts, and what a plan says of the changes. What does not: how the new
//! folder takes the old one's place (`apply/state.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::DeploymentId;

/// What becomes of a path that was changed on this machine and in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcStrategy {
    /// The plan is refused.
    #[default]
    Fail,
    /// This machine's stays.
    KeepLocal,
    /// The image's is taken.
    TakeImage,
}

/// What becomes of conflicts, path by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcPolicy {
    /// For all paths that are not named.
    pub default: EtcStrategy,
    /// For these paths, below `/etc`, and all below them.
    pub paths: BTreeMap<String, EtcStrategy>,
}

impl EtcPolicy {
    /// Whether it asks for nothing: any conflict is refused.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a plan says of `/etc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcSection {
    /// The deployment whose changes are carried over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DeploymentId>,
}
