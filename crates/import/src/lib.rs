//! The importer under Sealstone: container images in, verified layers in the store.
//!
//! What lives here: sources (layouts, archives, registries, podman's storage), OCI's documents, verification, decompression,
//! the tar reader, layer trees, limits; and the same way back: export, push, artifacts. What never does: deployments, and
//! anything made of an image's layers. An import writes into the store alone.
//!
//! Invariants: every digest and size that a source states is computed again over the bytes that are used, in the pass
//! that uses them; nothing has a name in the store before all of it was right; memory is bounded whatever comes in.
//!
//! ```
//! use sealstone_import::{ImportOptions, import_layers, source};
//! use sealstone_store::{Control, InitOptions, Repository, disk::RealDisk};
//!
//! fn import(repository: &str, image: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let disk = RealDisk::shared();
//!     let (repository, _created) = Repository::init(&disk, repository, &InitOptions::default())?;
//!     let options = ImportOptions::default();
//!     let source = source::open(&disk, &image.parse()?, &options.limits)?;
//!
//!     let transaction = repository.transaction()?;
//!     let imported = import_layers(&transaction, &*source, &options, &Control::new())?;
//!     // Here an image is made of `imported.layers()`, and named together with its parts:
//!     imported.publish(&transaction, Some("base"), &[])?;
//!     let digest = transaction.commit(imported.manifest_digest())?;
//!     println!("{} is durable", *digest);
//!     Ok(())
//! }
//!
//! let repository = tempfile::tempdir()?;
//! let error = import(repository.path().to_str().unwrap(), "oci:/nonexistent").unwrap_err();
//! assert!(error.to_string().contains("/nonexistent"));
//! # Ok::<(), std::io::Error>(())
//! ```

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod artifact;
mod base64;
pub mod catalogue;
mod copy;
pub mod decompress;
mod digest;
pub mod disk_image;
mod error;
pub mod export;
mod ids;
mod import;
pub mod layer_tree;
mod limits;
mod look;
mod measure;
pub mod oci;
mod origin;
mod pipeline;
mod plan;
mod record;
pub mod registry;
mod report;
pub mod source;
mod space;
pub mod streams;
pub mod tar;
pub mod tar_split;
pub mod zstd_chunked;

pub use base64::{decode_base64, encode_base64};
pub use copy::{CopiedLayer, CopyPlan, plan_copy, share_objects};
pub use digest::{Digest, DigestAlgorithm, DigestHasher, ParseDigestError};
pub use error::{ImportError, Result};
pub use ids::{BlobDigest, ConfigDigest, DiffId, ManifestDigest};
pub use import::{ImportOptions, Imported, import, import_layers, import_layers_unless};
pub use limits::Limits;
pub use look::{Bootability, OfferedImage, SourceImage, look, look_at_documents};
pub use measure::{MeasuredImage, measure_layers};
pub use origin::ImageOrigin;
pub use plan::{ImportPlan, PlannedLayer, plan_import};
pub use record::stored_layer;
pub use report::{ImportReport, LayerOrigin, LayerReport, ProcessorTime};
pub use space::Reserve;
pub use streams::ImageKind;
