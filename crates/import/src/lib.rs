//! Sealstone import.

pub mod decompress;
mod digest;
mod ids;

pub use digest::{Digest, DigestAlgorithm, DigestHasher, ParseDigestError};
pub use ids::{BlobDigest, ConfigDigest, DiffId, ManifestDigest};
