//! The documents of an OCI image: index, manifest, configuration, and Docker's twins of them.
//!
//! What lives here: their types, read by serde from bytes that are kept as they are (a digest or a signature never has
//! to survive our writing them again); the rules against documents that can be read in two ways; the choice of a
//! platform. What never does: where bytes come from, and blobs of layers.
//!
//! Sources: image-spec v1.1 (descriptor.md, image-index.md, manifest.md, config.md); Docker's "Image Manifest Version
//! 2, Schema 2".

mod config;
mod descriptor;
mod document;
mod keys;
mod media_type;
mod platform;
mod resolve;

pub use config::Config;
pub use descriptor::Descriptor;
pub use document::{Document, Index, Manifest};
pub(crate) use keys::{Keys, LEAF};
pub use media_type::MediaType;
pub use platform::Platform;
pub(crate) use resolve::offered;
pub use resolve::{Resolved, resolve};
