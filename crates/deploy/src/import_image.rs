//! From a source to images in one transaction: import the layers, merge them, name everything, commit once.
//!
//! What lives here: the joint of `import` and the merge, and when the merge can be left out. What does not: either of them.
//! Invariant: name, documents, layers and images become visible together, or not at all.

use std::{
    cell::RefCell,
    panic::resume_unwind,
    thread,
    time::{Duration, Instant},
};

use sealstone_import::source::Source;
use sealstone_import::streams::bootable_image;
use sealstone_import::{
    ConfigDigest, Digest, ImageKind, ImportError, ImportOptions, ImportReport, Imported, ManifestDigest,
    import_layers_unless,
};
use sealstone_store::control::{Unit, Work};
use sealstone_store::{
    Control, Durable, Map, ObjectId, Repository, Transaction,
    erofs::{self, Version},
};

use crate::image::wants_to_boot;
use crate::{DeployError, ImageId, ImageTrees, MadeImages, Profile, make_images};

/// What importing an image brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportedImage {
    /// The digest of what the reference named: of the manifest, or of the index that led to it.
    pub named: Digest,
    /// The digest of its manifest.
    pub manifest: ManifestDigest,
    /// The digest of its configuration.
    pub config: ConfigDigest,
    /// Its file-system images.
    pub images: MadeImages,
    /// Whether an earlier import had made them, so that nothing was merged.
    pub is_merged_before: bool,
    /// How long the merge and the writing of the images took.
    pub merge_time: Duration,
    /// How long it took until all of it was on the disk and named.
    pub commit_time: Duration,
    /// What happened to the layers.
    pub report: ImportReport,
    /// What was read of the images on the way, which a deployment need not read again.
    pub trees: ImageTrees,
}

/// Imports an image from `source` under `name`, and makes its images: the plain one, and with a kernel the bootable one.
/// Whatever the repository has already is checked, and neither read nor made again.
///
/// # Errors
/// [`DeployError::Import`] with the source's faults, those of [`make_images`], and the store's. Nothing is published then.
pub fn import_image(
    repository: &Repository,
    source: &dyn Source,
    name: &str,
    options: &ImportOptions,
    control: &Control,
) -> Result<Durable<ImportedImage>, DeployError> {
    let transaction = repository.transaction()?.verify_existing(options.verify_existing);
    let trees = ImageTrees::default();
    let before = RefCell::new(Ok(None));
    let is_made = |linked: &[_]| {
        let made = made_before(&transaction, linked, &trees);
        let is_made = made.as_ref().is_ok_and(Option::is_some);
        let _ = before.replace(made);
        is_made
    };
    let imported = import_layers_unless(is_made, &transaction, source, options, control)?;
    let start = Instant::now();
    let (images, is_merged_before) = images(&transaction, &imported, before.into_inner()?, control)?;
    let merge_time = start.elapsed();
    let plain = (ImageKind::Plain, *images.image.object());
    let kind = match images.bootable_version {
        Version::V1 => ImageKind::Bootable,
        Version::V2 => ImageKind::BootableV2,
    };
    let bootable = images.bootable.as_ref().ok().map(|image| (kind, *image.object()));
    check_image(options, name, plain.1, bootable.map(|(_, id)| id))?;
    let linked: Vec<_> = [Some(plain), bootable].into_iter().flatten().collect();
    imported.publish(&transaction, Some(name), &linked)?;
    control.check().map_err(sealstone_store::Error::from)?;
    let done = ImportedImage {
        named: imported.named_digest(),
        manifest: imported.manifest_digest(),
        config: imported.config_digest(),
        images,
        is_merged_before,
        merge_time,
        commit_time: Duration::ZERO,
        report: imported.report().clone(),
        trees,
    };
    let task = control.start(Work::Sync, "", None, Unit::Items);
    let start = Instant::now();
    let done = transaction.commit(done)?;
    let commit_time = start.elapsed();
    task.finish();
    Ok(done.map(|done| ImportedImage { commit_time, ..done }))
}

/// Holds the images against [`ImportOptions::require_image`].
fn check_image(
    options: &ImportOptions,
    name: &str,
    plain: ObjectId,
    bootable: Option<ObjectId>,
) -> Result<(), DeployError> {
    let Some(required) = options.require_image else { return Ok(()) };
    if [Some(plain), bootable].contains(&Some(required)) {
        return Ok(());
    }
    let bootable = bootable.map_or_else(|| "none".to_owned(), |id| id.to_hex());
    let reason = format!(
        "image {} was required; its plain image is {}, its bootable one {bootable}",
        required.to_hex(),
        plain.to_hex()
    );
    Err(ImportError::Denied { what: name.to_owned(), reason }.into())
}

/// The images of the imported layers, and whether an earlier import made them.
fn images(
    transaction: &Transaction,
    imported: &Imported,
    before: Option<MadeImages>,
    control: &Control,
) -> Result<(MadeImages, bool), DeployError> {
    if let Some(images) = before {
        control.skip(Work::MergeImage, images.image.to_string());
        return Ok((images, true));
    }
    let task = control.start(Work::MergeImage, imported.manifest_digest().to_string(), None, Unit::Items);
    let images = make_images(transaction, &imported.layers()?)?;
    task.finish();
    Ok((images, false))
}

/// What an earlier import of the same configuration made, if all of it is there and whole.
fn made_before(
    transaction: &Transaction,
    images: &[(ImageKind, ObjectId)],
    trees: &ImageTrees,
) -> Result<Option<MadeImages>, DeployError> {
    let repository = transaction.repository();
    let linked = |kind| images.iter().find(|(linked, _)| *linked == kind).map(|(_, id)| id);
    let Some(plain) = linked(ImageKind::Plain) else { return Ok(None) };
    let bootable = bootable_image(images);
    let (bytes, bootable_bytes) = thread::scope(|scope| {
        let bootable = bootable.map(|id| scope.spawn(move || whole_image(repository, &id)));
        let plain = whole_image(repository, plain);
        // A panic goes on here.
        (plain, bootable.map(|bytes| bytes.join().unwrap_or_else(|panic| resume_unwind(panic))))
    });
    let Some(bytes) = bytes? else { return Ok(None) };
    let mut bootable_version = Version::V1;
    let (profile, bootable) = if let (Some(bootable), Some(bootable_bytes)) = (bootable, bootable_bytes) {
        let is_v2 = linked(ImageKind::BootableV2).is_some();
        // Which of two that somebody else made is meant, the image says.
        if is_v2 && linked(ImageKind::Bootable).is_some() {
            return Ok(None);
        }
        let Some(bootable_bytes) = bootable_bytes? else { return Ok(None) };
        trees.know_bytes(ImageId::new(bootable), bootable_bytes);
        if is_v2 {
            bootable_version = Version::V2;
        }
        // What boots has a /usr, so its plain image is of this profile.
        (Profile::Oci, Ok(ImageId::new(bootable)))
    } else {
        let tree = erofs::Image::open(&bytes).ok().and_then(|image| image.to_tree().ok());
        let Some(tree) = tree else { return Ok(None) };
        let Err(why) = wants_to_boot(&tree) else { return Ok(None) };
        (Profile::of(&tree), Err(why))
    };
    trees.know_bytes(ImageId::new(*plain), bytes);
    transaction.name_image(*plain);
    if let Ok(bootable) = &bootable {
        transaction.name_image(*bootable.object());
    }
    Ok(Some(MadeImages { image: ImageId::new(*plain), profile, bootable, bootable_version }))
}

/// The bytes of an image that the repository names, if they are undamaged and an image.
fn whole_image(repository: &Repository, id: &ObjectId) -> Result<Option<Map>, DeployError> {
    // Damage makes the image anew.
    Ok(if repository.has_image(id)? {
        repository.map_object(id).ok().filter(|bytes| erofs::Image::open(bytes).is_ok())
    } else {
        None
    })
}
