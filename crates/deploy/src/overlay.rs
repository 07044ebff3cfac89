//! What a caller puts over the `/etc` and `/var` of an image: a layer in the repository.
//!
//! What lives here: what a record says of one. What does not: how it is made and imported.

use sealstone_import::DiffId;
use serde::{Deserialize, Serialize};

/// A layer over the image's `/etc` and `/var`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// What it is called, for people: the folder or archive that it came from.
    pub name: String,
    /// The layer.
    #[serde(with = "crate::record::text")]
    pub diff_id: DiffId,
}
