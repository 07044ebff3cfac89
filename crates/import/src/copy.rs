//! An image from one repository to another: what an importer cannot do by itself.
//!
//! A copy is an import whose source is a repository ([`StoredImage`](crate::source::StoredImage)): tars, documents and ids
//! are checked as those of any source, since a repository may be anybody's. What lives here comes before it: sharing the
//! blocks of objects where the file system can, so that the import finds them there; and the plan.

use std::collections::HashSet;

use sealstone_store::{
    Control, ObjectId, Optional, Repository,
    control::{Unit, Work},
    splitstream::SplitStreamReader,
};

use crate::{
    DiffId, ImportOptions, ManifestDigest,
    error::Result,
    oci::{Platform, Resolved, resolve},
    record,
    source::StoredImage,
    streams::layer_stream,
};

/// What a copy of an image would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyPlan {
    /// Its layers, lowest first; one that the image has twice is there once.
    pub layers: Vec<CopiedLayer>,
    /// Objects of those that the destination lacks; `None` where it has another algorithm, so that they are other objects.
    pub objects: Option<u64>,
}

/// One layer of a [`CopyPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedLayer {
    /// The layer's tar.
    pub diff_id: DiffId,
    /// Bytes of that.
    pub tar_bytes: u64,
    /// Whether the destination has it.
    pub is_present: bool,
}

impl CopyPlan {
    /// Bytes of the tars that would be read.
    #[must_use]
    pub fn bytes_to_read(&self) -> u64 {
        self.layers.iter().filter(|layer| !layer.is_present).map(|layer| layer.tar_bytes).sum()
    }
}

/// Looks what a copy would do, and changes nothing.
///
/// # Errors
/// When the image's documents are damaged, or a layer of it is not there.
pub fn plan_copy(
    from: &Repository,
    to: &Repository,
    manifest: &ManifestDigest,
    options: &ImportOptions,
) -> Result<CopyPlan> {
    let image = open(from, manifest, options)?;
    let (mut layers, mut lacking) = (Vec::new(), HashSet::new());
    for diff_id in layers_of(&image) {
        let is_present = record::is_present(to, &diff_id, options)?;
        let map = from.map_stream(&layer_stream(&diff_id)?)?;
        let reader = SplitStreamReader::new(&map, from.algorithm())?;
        if !is_present && from.algorithm() == to.algorithm() {
            for object in reader.object_refs() {
                if !to.has_object(&object)? {
                    lacking.insert(object);
                }
            }
        }
        layers.push(CopiedLayer { diff_id, tar_bytes: reader.stream_size(), is_present });
    }
    let is_same = from.algorithm() == to.algorithm();
    Ok(CopyPlan { layers, objects: is_same.then_some(lacking.len() as u64) })
}

/// Brings objects of an image's layers into a repository of the same algorithm by sharing their blocks, each checked
/// against its id; gives how many. Stops where the file systems cannot share. Nothing names them: the import that follows
/// finds them there, and writes what is missing.
///
/// # Errors
/// When an object is damaged, or a disk fails.
pub fn share_objects(
    from: &Repository,
    to: &Repository,
    manifest: &ManifestDigest,
    options: &ImportOptions,
    control: &Control,
) -> Result<u64> {
    if from.algorithm() != to.algorithm() {
        return Ok(0);
    }
    let image = open(from, manifest, options)?;
    let transaction = to.transaction()?.verify_existing(options.verify_existing);
    let mut shared = 0;
    for diff_id in layers_of(&image) {
        if record::is_present(to, &diff_id, options)? {
            continue;
        }
        let Some(map) = from.map_stream(&layer_stream(&diff_id)?).optional()? else { continue };
        let objects: Vec<ObjectId> = SplitStreamReader::new(&map, from.algorithm())?.object_refs().collect();
        let total = Some(objects.len() as u64);
        let mut task = control.start(Work::CopyObjects, diff_id.to_string(), total, Unit::Items);
        for id in objects {
            control.check()?;
            match transaction.put_shared(id, &from.open_object(&id)?)? {
                Some(stored) => shared += u64::from(stored.is_new),
                None => return Ok(shared),
            }
            task.advance(1);
        }
        task.finish();
    }
    Ok(shared)
}

/// The image's documents, checked.
fn open(from: &Repository, manifest: &ManifestDigest, options: &ImportOptions) -> Result<Resolved> {
    resolve(&StoredImage::new(from.clone(), *manifest), &Platform::native(), &options.limits)
}

/// Each layer once.
fn layers_of(image: &Resolved) -> Vec<DiffId> {
    let mut seen = HashSet::new();
    image.config.diff_ids.iter().copied().filter(|diff_id| seen.insert(*diff_id)).collect()
}
