//! OCI artifacts: files that lie in registries (ORAS), above all disk images, chosen and fetched by Ironic's rules.
//!
//! What lives here: which manifest of an index is meant ([`ArtifactChoice`], [`find_artifact`]), its body on the way to a
//! file, a device or a stream ([`fetch_artifact`]), decompressed as it comes, and files on the way to a registry
//! ([`push_artifacts`]). What never does: file systems and images made
//! of layers, and the store: an artifact is not imported.
//!
//! Invariants: every byte is held against the digest and size that name it; a file has its final name only after that, and a
//! device its first mebibyte; no name or path of an artifact is used as one here.

mod choose;
mod disk_type;
mod fetch;
mod offer;
mod output;
mod push;

pub use choose::{ArtifactChoice, find_artifact};
pub use disk_type::{DiskType, Ranking};
pub use fetch::{FetchOptions, Fetched, fetch_artifact};
pub use offer::{Artifact, Offer, list_offers};
pub use output::{ArtifactOutput, FileOutput, PartialFile, StreamOutput, Target};
pub use push::{ArtifactFile, PushedArtifacts, push_artifacts};
