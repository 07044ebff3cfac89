//! Images that are bound to a system: they come and go with its deployment.
//!
//! What lives here: what a record says of one. What does not: how an image names them, and who fetches them.

use sealstone_import::{ConfigDigest, ManifestDigest};
use serde::{Deserialize, Serialize};

/// An image that a deployment's system runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundImage {
    /// The unit that names it: a file's name in `bound-images.d`.
    pub unit: String,
    /// The reference in the unit.
    pub reference: String,
    /// What it was resolved to.
    #[serde(with = "crate::record::text")]
    pub manifest: ManifestDigest,
    /// Its configuration.
    #[serde(with = "crate::record::text")]
    pub config: ConfigDigest,
    /// What its layers take as they are transferred, in bytes, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}
