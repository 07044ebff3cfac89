//! An image from one repository into another, as an import whose source is the first.
//!
//! Invariants: those of an import; the source is believed as little as any other.

use sealstone_import::source::StoredImage;
use sealstone_import::{ImportOptions, ManifestDigest, share_objects};
use sealstone_store::{Control, Durable, Repository};

use crate::{DeployError, ImportedImage, import_image};

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedImage {
    /// What the import into the destination did.
    pub imported: ImportedImage,
    /// Objects whose blocks the two repositories share now; the others that were new were written.
    pub shared_blocks: u64,
}

/// Copies an image under `name` into another repository. Where both have one algorithm and the file system can, objects
/// share their blocks; everything is hashed all the same, and visible with one commit. With another algorithm the image
/// has other ids there, those that an import of it has.
///
/// # Errors
/// As [`import_image`]; what is damaged in the source is refused, and nothing is published.
pub fn copy_image(
    from: &Repository,
    to: &Repository,
    manifest: &ManifestDigest,
    name: &str,
    options: &ImportOptions,
    control: &Control,
) -> Result<Durable<CopiedImage>, DeployError> {
    let shared_blocks = share_objects(from, to, manifest, options, control)?;
    let source = StoredImage::new(from.clone(), *manifest);
    let imported = import_image(to, &source, name, options, control)?;
    Ok(imported.map(|imported| CopiedImage { imported, shared_blocks }))
}
