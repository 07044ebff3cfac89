//! Sealstone import.

pub mod catalogue;
pub mod decompress;
mod digest;
mod error;
mod ids;
pub mod layer_tree;
mod limits;
pub mod oci;
pub mod source;
pub mod tar;

pub use digest::{Digest, DigestAlgorithm, DigestHasher, ParseDigestError};
pub use error::{ImportError, Result};
pub use ids::{BlobDigest, ConfigDigest, DiffId, ManifestDigest};
pub use limits::Limits;
