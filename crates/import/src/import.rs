//! Importing an image, in two steps around whatever is made of its layers.
//!
//! [`import_layers`] brings all that an image consists of into an open transaction and checks it; [`Imported::publish`]
//! adds the image's names, with the EROFS images that the caller made of the layers meanwhile. The one commit makes all
//! of it durable and visible. [`import`] does both, for a caller that wants the layers alone.

use std::{
    collections::HashMap,
    iter,
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use sealstone_store::{
    Control, Durable, ObjectId, RefName, RefTarget, Repository, Transaction, control::Work,
};

use crate::{
    ConfigDigest, DiffId, Digest, Limits, ManifestDigest,
    error::{ImportError, Result},
    layer_tree::LayerTree,
    oci::{Config, Descriptor, Platform, Resolved, resolve},
    origin::ImageOrigin,
    pipeline::{self, LayerDone, LayerTask},
    record::{self, StoredLayer},
    report::{ImportReport, LayerReport},
    source::Source,
    space::{Reserve, SpaceWatch},
    streams::{Documents, ImageKind, layer_stream, linked_images, manifest_stream},
    tar::Strictness,
    zstd_chunked::is_chunked,
};

/// What an import may be told. Start from [`ImportOptions::default`] and change what you must.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The platform to choose from an index: by default Linux on the architecture that this was built for.
    pub platform: Platform,
    /// The bounds.
    pub limits: Limits,
    /// How layers that can be read in several ways are taken.
    pub strictness: Strictness,
    /// Reads every layer, present or not, and every object of it that is there, and replaces those that are damaged.
    /// The transaction needs [`Transaction::verify_existing`] as well.
    pub verify_existing: bool,
    /// What is kept free of the repository's file system.
    pub reserve: Reserve,
    /// How soon the finished layers of a source that is [costly](Source::is_costly) are made durable, each for itself, so
    /// that a kill or a power cut in the middle does not lose them: 2 s after the last ones were.
    pub keep_layers_after: Duration,
    /// The digest that the image has to have: of its manifest, or of the index that the reference names. A tag leads to
    /// whatever the registry says; this, to one image or to none.
    pub require_digest: Option<Digest>,
    /// The id that one of the images made of it has to have, the plain or the bootable one. It binds everything that the
    /// system sees of the image. For `deploy::import_image`, which makes them.
    pub require_image: Option<ObjectId>,
    /// The reference by which the image can be had again, to be remembered beside its name: a later update asks there.
    pub origin: Option<String>,
}

impl ImportOptions {
    /// Holds an image against [`require_digest`](Self::require_digest).
    pub(crate) fn check_digest(&self, image: &Resolved, source: &dyn Source) -> Result<()> {
        let Some(required) = &self.require_digest else { return Ok(()) };
        if *required == image.named_digest || required == image.manifest_digest.digest() {
            return Ok(());
        }
        Err(ImportError::digest(format!("the image at {}", source.label()), required, &image.named_digest))
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            platform: Platform::native(),
            limits: Limits::default(),
            strictness: Strictness::default(),
            verify_existing: false,
            reserve: Reserve::default(),
            keep_layers_after: Duration::from_secs(2),
            require_digest: None,
            require_image: None,
            origin: None,
        }
    }
}

/// An image whose parts are all in the store, checked, and not named yet.
#[derive(Debug)]
pub struct Imported {
    image: Resolved,
    /// Each layer once.
    layers: Vec<Layer>,
    /// Of the image's layers, lowest first, the place in `layers`.
    order: Vec<usize>,
    linked: Vec<(ImageKind, ObjectId)>,
    space: SpaceWatch,
    report: ImportReport,
    origin: Option<String>,
}

#[derive(Debug)]
struct Layer {
    diff_id: DiffId,
    stream: ObjectId,
    /// None of one that was there, for an image whose layers' trees were not wanted.
    tree: Option<LayerTree>,
}

impl Imported {
    /// The image's digest.
    #[must_use]
    pub const fn manifest_digest(&self) -> ManifestDigest {
        self.image.manifest_digest
    }

    /// The digest of what the reference named: of the manifest, or of the index that led to it.
    #[must_use]
    pub const fn named_digest(&self) -> Digest {
        self.image.named_digest
    }

    /// The digest of its configuration.
    #[must_use]
    pub const fn config_digest(&self) -> ConfigDigest {
        self.image.config_digest
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.image.config
    }

    /// The trees of its layers, lowest first; a layer that the image has twice comes twice.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Missing`] when the caller of [`import_layers_unless`] did without them.
    pub fn layers(&self) -> Result<Vec<&LayerTree>> {
        let layers = self.order.iter().filter_map(|place| self.layers.get(*place));
        let trees: Option<Vec<&LayerTree>> = layers.map(|layer| layer.tree.as_ref()).collect();
        let missing = || sealstone_store::Error::Missing { what: "the tree of a layer".to_owned() };
        Ok(trees.ok_or_else(missing)?)
    }

    /// The EROFS images that an earlier import made of it, by reference of its configuration's stream.
    #[must_use]
    pub fn linked_images(&self) -> &[(ImageKind, ObjectId)] {
        &self.linked
    }

    /// What was done so far.
    #[must_use]
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Names the layers alone, in the transaction that they were imported into: for what is no image, such as an overlay.
    /// What shall stay needs a ref on each.
    ///
    /// # Errors
    /// When the store fails. The transaction must not be committed then.
    pub fn publish_layers(&self, transaction: &Transaction) -> Result<()> {
        for layer in &self.layers {
            transaction.name_stream(layer_stream(&layer.diff_id)?, layer.stream);
        }
        self.space.check(0)
    }

    /// Stores the image's documents and names all its parts, in the transaction that they were imported into. With a
    /// name, a ref keeps the image under it, in place of what had the name.
    ///
    /// # Errors
    /// When the name is no ref's, or the store fails; [`ImportError::NoSpace`] when all that was stored has touched the
    /// reserve. The transaction must not be committed then.
    pub fn publish(
        &self,
        transaction: &Transaction,
        name: Option<&str>,
        images: &[(ImageKind, ObjectId)],
    ) -> Result<()> {
        let layers: Vec<_> = self.layers.iter().map(|layer| (layer.diff_id, layer.stream)).collect();
        let Resolved { manifest_digest, manifest_bytes, config_digest, config_bytes, .. } = &self.image;
        let documents = Documents {
            manifest: (manifest_digest, manifest_bytes),
            config: (config_digest, config_bytes),
            layers: &layers,
            images,
        };
        documents.store(transaction)?;
        for (diff_id, stream) in layers {
            transaction.name_stream(layer_stream(&diff_id)?, stream);
        }
        if let Some(name) = name {
            let target = RefTarget::Stream(manifest_stream(manifest_digest)?);
            let name = RefName::oci(name)?;
            if let Some(reference) = &self.origin {
                let origin = ImageOrigin { reference: reference.clone(), named: self.named_digest() };
                origin.note(transaction, &name, manifest_digest)?;
            }
            transaction.set_ref(name, target);
        }
        self.space.check(0)
    }
}

/// Brings an image's layers into an open transaction: chooses the image, checks its documents, skips the layers that the
/// store has, reads the others. Nothing is named before [`Imported::publish`] and the commit.
///
/// # Errors
/// The source's faults, by kind; see [`ImportError`](crate::ImportError). The transaction may be dropped then: at most
/// objects that no name reaches are left.
pub fn import_layers(
    transaction: &Transaction,
    source: &dyn Source,
    options: &ImportOptions,
    control: &Control,
) -> Result<Imported> {
    import_layers_unless(|_| false, transaction, source, options, control)
}

/// The same, unless the images that an earlier import made of the same configuration are all that is wanted: `is_made` says so.
/// Then the trees of layers that the store has are not read, which for a large image takes longer than all else; there are
/// no [`Imported::layers`].
///
/// # Errors
/// As [`import_layers`].
pub fn import_layers_unless(
    is_made: impl FnOnce(&[(ImageKind, ObjectId)]) -> bool,
    transaction: &Transaction,
    source: &dyn Source,
    options: &ImportOptions,
    control: &Control,
) -> Result<Imported> {
    let start = Instant::now();
    let image = resolve(source, &options.platform, &options.limits)?;
    options.check_digest(&image, source)?;
    for warning in &image.warnings {
        control.warn(warning.clone());
    }
    let linked = linked_images(transaction.repository(), &image.config_digest).unwrap_or_default();
    let find = if !options.verify_existing && is_made(&linked) { record::find_unread } else { record::find };
    let mut plan = Plan::default();
    let layers = image.manifest.layers.iter().zip(&image.config.diff_ids);
    let layers: Vec<_> = layers.filter(|(_, diff_id)| plan.place(diff_id)).collect();
    for some in layers.chunks(control.threads()) {
        control.check()?;
        let found = look_up(find, transaction.repository(), some, options);
        for ((descriptor, diff_id), found) in some.iter().zip(found) {
            plan.add(descriptor, diff_id, found?, options, control)?;
        }
    }
    check_sizes(&plan.tasks, &options.limits)?;
    let space = SpaceWatch::new(transaction.repository(), options.reserve);
    // A layer whose record alone is lost is read from the store.
    let to_read = plan.tasks.iter().filter(|task| task.stored.is_none());
    let to_read = to_read.fold(0, |sum: u64, task| sum.saturating_add(task.descriptor.size()));
    space.admit(transaction.repository(), to_read)?;
    if plan.tasks.iter().any(|task| is_chunked(&task.descriptor)) {
        for warning in transaction.content_index()?.warnings() {
            control.warn(warning);
        }
    }
    let left = options.limits.image_tree_bytes - plan.tree_bytes;
    let (done, processor_time) =
        pipeline::import_layers(source, transaction, &plan.tasks, left, &space, options, control)?;
    for LayerDone { diff_id, stream, tree, strictest, is_kept, report } in done {
        if !is_kept {
            record::store(transaction, &diff_id, &stream, &tree, strictest)?;
        }
        plan.fill(&diff_id, Layer { diff_id, stream, tree: Some(tree) }, report);
    }
    let (layers, reports) = plan.layers.into_iter().flatten().unzip();
    let report = ImportReport {
        is_manifest_made: source.is_manifest_made(),
        layers: reports,
        time: start.elapsed(),
        processor_time,
        warnings: image.warnings.clone(),
    };
    let origin = options.origin.clone();
    Ok(Imported { image, layers, order: plan.order, linked, space, report, origin })
}

/// Imports an image's parts and publishes them under `name`, without making an EROFS image.
///
/// # Errors
/// As [`import_layers`]; nothing is published then.
pub fn import(
    repository: &Repository,
    source: &dyn Source,
    name: Option<&str>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Durable<ImportReport>> {
    let transaction = repository.transaction()?.verify_existing(options.verify_existing);
    let imported = import_layers(&transaction, source, options, control)?;
    imported.publish(&transaction, name, imported.linked_images())?;
    control.check()?;
    Ok(transaction.commit(imported.report)?)
}

/// Refuses blobs that are larger than a layer may be unpacked: such a size is a lie, and no question of space.
fn check_sizes(tasks: &[LayerTask], limits: &Limits) -> Result<()> {
    let limit = limits.layer_bytes;
    match tasks.iter().map(|task| &task.descriptor).find(|blob| blob.size() > limit) {
        Some(blob) => {
            let what = format!("layer {} ({} bytes)", blob.digest(), blob.size());
            Err(ImportError::TooBig { what, limit })
        }
        None => Ok(()),
    }
}

/// What the store has of some layers, looked up side by side: a large layer's record takes milliseconds to check.
fn look_up(
    find: fn(&Repository, &DiffId, &ImportOptions) -> Result<StoredLayer>,
    repository: &Repository,
    layers: &[(&Descriptor, &DiffId)],
    options: &ImportOptions,
) -> Vec<Result<StoredLayer>> {
    if options.verify_existing {
        return layers.iter().map(|_| Ok(StoredLayer::Absent)).collect();
    }
    let find = |(_, diff_id): &(_, &DiffId)| find(repository, diff_id, options);
    let Some((first, others)) = layers.split_first() else { return Vec::new() };
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|layer| scope.spawn(move || find(layer))).collect();
        // A panic goes on here.
        let join = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or_else(|panic| resume_unwind(panic));
        iter::once(find(first)).chain(others.into_iter().map(join)).collect()
    })
}

/// Which layers there are, and which of them have to be read.
#[derive(Default)]
struct Plan {
    /// By diff_id, the place in `layers`.
    places: HashMap<DiffId, usize>,
    layers: Vec<Option<(Layer, LayerReport)>>,
    order: Vec<usize>,
    tasks: Vec<LayerTask>,
    /// What the trees of the layers that are there take.
    tree_bytes: u64,
}

impl Plan {
    /// Puts the layer in its place; says whether it is the first of its kind.
    fn place(&mut self, diff_id: &DiffId) -> bool {
        let next = self.layers.len();
        let place = *self.places.entry(*diff_id).or_insert(next);
        self.order.push(place);
        if place == next {
            self.layers.push(None);
        }
        place == next
    }

    /// Takes note of what was found of a layer in its place.
    fn add(
        &mut self,
        descriptor: &Descriptor,
        diff_id: &DiffId,
        found: StoredLayer,
        options: &ImportOptions,
        control: &Control,
    ) -> Result<()> {
        let (stream, tree) = match found {
            StoredLayer::Whole(stream, tree) => (stream, Some(tree)),
            StoredLayer::Unread(stream) => (stream, None),
            StoredLayer::Stream(stream) => {
                self.read(descriptor, diff_id, Some(stream));
                return Ok(());
            }
            StoredLayer::Absent => {
                self.read(descriptor, diff_id, None);
                return Ok(());
            }
        };
        self.tree_bytes += tree.as_ref().map_or(0, |tree| tree.encoded_len() as u64);
        if self.tree_bytes > options.limits.image_tree_bytes {
            return Err(pipeline::trees_too_big(&options.limits));
        }
        control.skip(Work::ImportLayer, diff_id.to_string());
        let report = LayerReport::nothing_read(*diff_id, descriptor);
        self.fill(diff_id, Layer { diff_id: *diff_id, stream, tree }, report);
        Ok(())
    }

    fn read(&mut self, descriptor: &Descriptor, diff_id: &DiffId, stored: Option<ObjectId>) {
        self.tasks.push(LayerTask { descriptor: descriptor.clone(), diff_id: *diff_id, stored });
    }

    fn fill(&mut self, diff_id: &DiffId, layer: Layer, report: LayerReport) {
        let place = self.places.get(diff_id).and_then(|place| self.layers.get_mut(*place));
        if let Some(place) = place {
            *place = Some((layer, report));
        }
    }
}
