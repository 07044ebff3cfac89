//! An image's layers, read without a store: every file is hashed, and nothing is written anywhere.
//!
//! What lives here: [`measure_layers`], for pipelines that want an image's digest before there is a repository. What does
//! not: the merge. The layers go through the same decompressor, tar reader and tree builder as in an import, one after the
//! other, and are held against the same digests.

mod layer;

use std::collections::HashMap;

use sealstone_store::{
    Algorithm, Control, ObjectId,
    control::{Task, Unit, Work},
};

use crate::{
    DiffId, Digest, DigestHasher, ImportOptions, ManifestDigest,
    decompress::{Decoder, WindowGate},
    error::{ImportError, Result},
    layer_tree::LayerTree,
    oci::{Descriptor, resolve},
    pipeline::trees_too_big,
    source::{Blob, Source, fill},
};
use layer::Layer;

/// How much of a blob is read, and of a tar made, at a time, in bytes.
const STEP: usize = 256 << 10;

/// An image whose layers were read.
#[derive(Clone, Debug)]
pub struct MeasuredImage {
    /// The digest of its manifest.
    pub manifest: ManifestDigest,
    /// The digests of its layers' tars, the lowest first.
    pub diff_ids: Vec<DiffId>,
    /// Its layers' trees, the lowest first.
    layers: Vec<LayerTree>,
    order: Vec<usize>,
    /// The bodies of the files that were to be kept.
    pub kept: HashMap<ObjectId, Vec<u8>>,
}

impl MeasuredImage {
    /// The layers' trees, the lowest first.
    #[must_use]
    pub fn layers(&self) -> Vec<&LayerTree> {
        self.order.iter().filter_map(|place| self.layers.get(*place)).collect()
    }
}

/// Reads an image's layers and hashes their files by `algorithm`. The bodies of files whose path in a layer `keep` chooses
/// are kept, up to 64 MiB together: a policy's files, which a profile reads.
///
/// # Errors
/// The source's faults, by kind, as in an import.
pub fn measure_layers(
    source: &dyn Source,
    algorithm: Algorithm,
    keep: &dyn Fn(&[u8]) -> bool,
    options: &ImportOptions,
    control: &Control,
) -> Result<MeasuredImage> {
    let image = resolve(source, &options.platform, &options.limits)?;
    options.check_digest(&image, source)?;
    let mut places: HashMap<DiffId, usize> = HashMap::new();
    let mut measured = MeasuredImage {
        manifest: image.manifest_digest,
        diff_ids: image.config.diff_ids.clone(),
        layers: Vec::new(),
        order: Vec::new(),
        kept: HashMap::new(),
    };
    let mut tree_bytes = 0_u64;
    for (descriptor, diff_id) in image.manifest.layers.iter().zip(&image.config.diff_ids) {
        let place = *places.entry(*diff_id).or_insert(measured.layers.len());
        measured.order.push(place);
        if place < measured.layers.len() {
            continue;
        }
        let mut layer = Layer::new(algorithm, options, keep);
        read_layer(source, descriptor, diff_id, &mut layer, options, control)?;
        let tree = layer.finish(&mut measured.kept).map_err(refused(diff_id))?;
        tree_bytes = tree_bytes.saturating_add(tree.encoded_len() as u64);
        if tree_bytes > options.limits.image_tree_bytes {
            return Err(trees_too_big(&options.limits));
        }
        measured.layers.push(tree);
    }
    Ok(measured)
}

/// Reads one layer, from the place's own tar if it has one.
fn read_layer(
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    layer: &mut Layer<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<()> {
    let start = |size| control.start(Work::Check, diff_id.to_string(), Some(size), Unit::Bytes);
    let plain = || Decoder::plain((&options.limits).into());
    let is_read = source.read_tar(diff_id, &mut |tar, size| {
        let name = format!("stream of layer {diff_id}");
        let stated = (diff_id.digest(), size);
        Reading { name: &name, diff_id, control, task: start(size) }.run(tar, stated, plain(), layer)
    })?;
    if is_read {
        return Ok(());
    }
    let name = format!("layer {}", descriptor.digest());
    let decoder = Decoder::new((&options.limits).into(), WindowGate::default());
    let stated = (descriptor.digest(), descriptor.size());
    let reading = Reading { name: &name, diff_id, control, task: start(descriptor.size()) };
    reading.run(&mut *source.open_blob(descriptor)?, stated, decoder, layer)
}

struct Reading<'a> {
    name: &'a str,
    diff_id: &'a DiffId,
    control: &'a Control,
    task: Task,
}

impl Reading<'_> {
    /// Reads a blob to its end, whatever is in it: what is wrong with the blob comes before what is wrong with its tar.
    fn run(
        mut self,
        blob: &mut dyn Blob,
        (digest, size): (&Digest, u64),
        decoder: Decoder,
        layer: &mut Layer<'_>,
    ) -> Result<()> {
        let mut hasher = DigestHasher::new(digest.algorithm());
        let mut unpacking = Unpacking {
            decoder,
            tar: DigestHasher::new(self.diff_id.digest().algorithm()),
            out: vec![0; STEP],
            layer,
            failed: None,
        };
        let (mut input, mut read) = (vec![0; STEP], 0_u64);
        loop {
            self.control.check().map_err(sealstone_store::Error::from)?;
            let count = fill(blob, &mut input)?;
            read += count as u64;
            if count == 0 || read > size {
                break;
            }
            let piece = input.get(..count).unwrap_or_default();
            hasher.update(piece);
            self.task.advance(count as u64);
            unpacking.take(piece, self.name, self.diff_id);
        }
        let what = || self.name.to_owned();
        if read != size {
            return Err(ImportError::Size { what: what(), expected: size, actual: read });
        }
        let found = hasher.finish();
        if found != *digest {
            return Err(ImportError::digest(what(), digest, &found));
        }
        self.task.finish();
        let tar = unpacking.finish(self.name, self.diff_id)?;
        if tar != *self.diff_id.digest() {
            return Err(ImportError::digest(
                format!("the tar in {}", self.name),
                self.diff_id.digest(),
                &tar,
            ));
        }
        Ok(())
    }
}

/// From the bytes of a blob to a layer.
struct Unpacking<'a, 'k> {
    decoder: Decoder,
    tar: DigestHasher,
    out: Vec<u8>,
    layer: &'a mut Layer<'k>,
    failed: Option<ImportError>,
}

impl Unpacking<'_, '_> {
    /// Takes the next bytes of the blob; after a failure they count for its digest alone.
    fn take(&mut self, mut input: &[u8], name: &str, diff_id: &DiffId) {
        while self.failed.is_none() && !input.is_empty() {
            match self.step(input, name, diff_id) {
                Ok((consumed, _)) => input = input.get(consumed..).unwrap_or_default(),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// How many bytes were taken, and how many came out.
    fn step(&mut self, input: &[u8], name: &str, diff_id: &DiffId) -> Result<(usize, usize)> {
        let step = self
            .decoder
            .step(input, &mut self.out)
            .map_err(|source| ImportError::Decode { what: name.to_owned(), source })?;
        let made = self.out.get(..step.produced).unwrap_or_default();
        self.tar.update(made);
        self.layer.take(made).map_err(refused(diff_id))?;
        Ok((step.consumed, step.produced))
    }

    /// The blob has ended: what the decoder still holds comes out.
    fn finish(mut self, name: &str, diff_id: &DiffId) -> Result<Digest> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while self.step(&[], name, diff_id)?.1 > 0 {}
        self.decoder.finish().map_err(|source| ImportError::Decode { what: name.to_owned(), source })?;
        Ok(self.tar.finish())
    }
}

/// Says which layer was refused.
fn refused(diff_id: &DiffId) -> impl Fn(crate::tar::Refusal) -> ImportError {
    let layer = format!("layer {diff_id}");
    move |source| ImportError::Refused { layer: layer.clone(), source }
}
