//! Bundles: a system with the images that it binds, for machines without a network.
//!
//! What lives here: which images go into one, and what an import makes of one: the system under a name, and refs by which
//! its bound images are found again without a registry, and kept as long as the system's name is. What does not: the
//! layout's format (`import`). Invariant: the system has its name last, so what has a name has all that it binds.

use sealstone_import::{
    Digest, DigestAlgorithm, ImportError, ImportOptions, ImportReport, Limits, ManifestDigest,
    export::{BundleMember, ExportOptions, ExportedBundle, export_bundle as export},
    import,
    oci::Descriptor,
    source::{Bundle, BundledMember, Reference, Source},
    streams::manifest_stream,
};
use sealstone_store::{Control, Durable, Place, RefName, RefTarget, Repository, disk::Disk};

use crate::{
    DeployError, ImportedImage,
    bound::{BoundImage, BoundRef, BoundReference, HeldBound},
    documents::documents,
    import_image,
};

/// What an import of a bundle brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportedBundle {
    /// The system.
    pub os: ImportedImage,
    /// Its name here.
    pub name: String,
    /// The bound images: what they are called, their manifests, and what was read.
    pub bound: Vec<(String, ManifestDigest, ImportReport)>,
}

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBundle {
    /// What went out.
    pub bundle: ExportedBundle,
    /// What its members are called, in their order: the system first.
    pub references: Vec<String>,
}

/// Writes a system and its bound images, all of which the repository has, as one layout. `indexes` are the documents through
/// which references by digest lead to manifests, where those are not the manifest itself.
///
/// # Errors
/// As an export's.
pub fn export_bundle(
    repository: &Repository,
    os: (&str, &ManifestDigest),
    bound: &[(BoundImage, Option<Vec<u8>>)],
    disk: &std::sync::Arc<dyn Disk>,
    target: &Reference,
    options: &ExportOptions,
    control: &Control,
) -> Result<WrittenBundle, DeployError> {
    let (name, manifest) = os;
    let mut members =
        vec![BundleMember { manifest: *manifest, is_os: true, reference: name.to_owned(), index: None }];
    for (image, index) in bound {
        let reference = image.reference.clone();
        if !members.iter().any(|member| !member.is_os && member.reference == reference) {
            let (manifest, index) = (image.manifest, index.clone());
            members.push(BundleMember { manifest, is_os: false, reference, index });
        }
    }
    let bundle = export(repository, &members, disk, target, options, control)?;
    Ok(WrittenBundle { bundle, references: members.into_iter().map(|member| member.reference).collect() })
}

/// The index that a source names, byte for byte; none where it names an image itself.
///
/// # Errors
/// When it cannot be read, or is not what its digest says.
pub fn bundle_index(source: &dyn Source, limits: &Limits) -> Result<Option<Vec<u8>>, DeployError> {
    Ok(sealstone_import::source::read_index(source, limits)?)
}

/// Imports a bundle: its bound images first, then the system under `name`, or under the one that it has in the bundle.
///
/// # Errors
/// As an import's; [`ImportError::Denied`] when a bound image is not the one that its reference names by digest. The system
/// has no name then.
pub fn import_bundle(
    repository: &Repository,
    source: &dyn Source,
    name: Option<&str>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Durable<ImportedBundle>, DeployError> {
    let bundle = Bundle::read(source, &options.limits)?;
    let missing = || ImportError::Missing { what: "system".to_owned(), place: source.label() };
    let os = bundle.members().iter().find(|member| member.is_os).ok_or_else(missing)?;
    // D12: nothing of it goes before the refs are durable.
    let _held = HeldBound::take(repository)?;
    let mut member_options = options.clone();
    member_options.require_digest = None;
    member_options.require_image = None;
    let mut bound = Vec::new();
    for member in bundle.members().iter().filter(|member| !member.is_os) {
        check_pin(member)?;
        let image = member.open(source, &options.limits)?;
        let report = import(repository, &image, None, &member_options, control)?.into_inner();
        bound.push((member.reference.clone(), ManifestDigest::new(member.manifest()), report));
    }
    let manifest = ManifestDigest::new(os.manifest());
    let transaction = repository.transaction()?;
    for (reference, image, _) in &bound {
        transaction.set_ref(bundled_ref(&manifest, reference)?, RefTarget::Stream(manifest_stream(image)?));
    }
    let _ = transaction.commit(())?;
    let image = os.open(source, &options.limits)?;
    let name = name.unwrap_or(&os.reference).to_owned();
    match import_image(repository, &image, &name, options, control) {
        Ok(os) => Ok(os.map(|os| ImportedBundle { os, name, bound })),
        Err(error) => {
            // Without the system, they are of no use. What cannot be removed is in nobody's way.
            let _ = forget_bundled(repository, &manifest);
            Err(error)
        }
    }
}

/// A reference by digest means one image, whatever a bundle says.
fn check_pin(member: &BundledMember) -> Result<(), DeployError> {
    let invalid = |reason| DeployError::BoundUnit { unit: member.reference.clone(), reason };
    let reference: BoundReference = member.reference.parse().map_err(invalid)?;
    match reference.digest() {
        Some(digest) if !member.is_named_by(digest) => {
            let reason = format!("the bundle has the image {} for it", member.manifest());
            Err(ImportError::Denied { what: member.reference.clone(), reason }.into())
        }
        _ => Ok(()),
    }
}

/// Those of a system's bound images that came with it in a bundle.
///
/// # Errors
/// When the repository cannot be read, or one of them is damaged.
pub fn bundled_images(
    repository: &Repository,
    os: &ManifestDigest,
    refs: &[BoundRef],
) -> Result<Vec<BoundImage>, DeployError> {
    let all = repository.refs(Place::Streams)?;
    let mut found = Vec::new();
    for bound in refs {
        let name = bundled_ref(os, &bound.reference)?;
        let target = all.iter().find(|(other, _)| *other == name).map(|(_, target)| target);
        let Some(RefTarget::Stream(stream)) = target else { continue };
        let digest = stream.as_str().strip_prefix("oci-manifest-").and_then(|digest| digest.parse().ok());
        let Some(manifest) = digest else { continue };
        let documents = documents(repository, &manifest)?;
        let pin = bound.parse()?.digest().copied();
        found.push(BoundImage {
            unit: bound.unit.clone(),
            reference: bound.reference.clone(),
            resolved: pin.unwrap_or(*manifest.digest()),
            manifest,
            config: documents.config_digest,
            bytes: Some(documents.manifest.layers.iter().map(Descriptor::size).sum()),
        });
    }
    Ok(found)
}

/// Takes away the refs of the images that came with a system in a bundle: when the system's last name goes.
///
/// # Errors
/// When the disk fails.
pub fn forget_bundled(repository: &Repository, os: &ManifestDigest) -> Result<(), DeployError> {
    let prefix = format!("{}/", bundled_folder(os));
    for (name, _) in repository.refs(Place::Streams)? {
        if name.as_str().starts_with(&prefix) {
            let _ = repository.remove_ref(Place::Streams, &name)?;
        }
    }
    Ok(())
}

fn bundled_folder(os: &ManifestDigest) -> String {
    format!("sealstone/bundled/{}", os.digest().to_hex())
}

/// The ref of a bundled image. A reference may be longer than a file's name, so its digest stands for it.
fn bundled_ref(os: &ManifestDigest, reference: &str) -> Result<RefName, DeployError> {
    let reference = Digest::of(DigestAlgorithm::Sha256, reference.as_bytes()).to_hex();
    Ok(format!("{}/{reference}", bundled_folder(os)).parse()?)
}
