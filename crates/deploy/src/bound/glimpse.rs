//! The units of an image some of whose layers are not here: of those that are zstd:chunked, a part of the blob tells.
//!
//! What lives here: which layers are looked at and how much of them, all layers under one another. What does not: the rules
//! of units ([`units`](super::units)), and the parts themselves, which are the importer's. Invariants: nothing is stored;
//! what is found is for telling, since nobody has seen that a part and its layer are the same; whatever is not as expected
//! makes the answer unknown, not wrong.

use std::{cell::RefCell, collections::HashMap};

use sealstone_import::{
    DiffId, ImportOptions, PlannedLayer, SourceImage, layer_tree::LayerTree, source::Source, stored_layer,
    zstd_chunked::LayerOutline,
};
use sealstone_store::{Control, ObjectId, Repository};

use super::{
    BoundRef, OfferSource,
    resolve::side_by_side,
    units::{Contents, units_in},
};
use crate::{DeployError, merge};

/// The most bytes of tables of contents and tar-splits that are fetched of one image: those of some 15 GB of packed layers.
const SHEETS_MAX: u64 = 64 << 20;

/// The images that an image in a source binds, by its layers; `None` where some are neither here nor can be looked into.
///
/// # Errors
/// When the repository cannot be read; [`DeployError::BoundUnit`] when a unit is known to be wrong.
pub(super) fn glimpse(
    repository: &Repository,
    source: &dyn Source,
    image: &SourceImage,
    options: &ImportOptions,
    control: &Control,
) -> Result<Option<(OfferSource, Vec<BoundRef>)>, DeployError> {
    let mut here: HashMap<DiffId, LayerTree> = HashMap::new();
    let mut missing: Vec<&PlannedLayer> = Vec::new();
    for layer in &image.layers {
        match stored_layer(repository, &layer.diff_id, options)? {
            Some(tree) => drop(here.insert(layer.diff_id, tree)),
            None => missing.push(layer),
        }
    }
    let sheets = missing.iter().map(|layer| LayerOutline::fetch_bytes(&layer.descriptor));
    if sheets.sum::<Option<u64>>().is_none_or(|bytes| bytes > SHEETS_MAX) {
        return Ok(None);
    }
    let Some(outlines) = outline(repository, source, &missing, options, control) else { return Ok(None) };
    let how = if outlines.is_empty() { OfferSource::Layers } else { OfferSource::Chunked };
    let merged = {
        let tree_of = |diff_id| here.get(diff_id).or_else(|| outlines.get(diff_id).map(LayerOutline::tree));
        let trees: Option<Vec<&LayerTree>> = image.diff_ids.iter().map(tree_of).collect();
        let Some(trees) = trees else { return Ok(None) };
        // Of this machine's own layers a fault is told; what is only said to be in a layer may be wrong in itself.
        match merge(&trees) {
            Err(error) if how == OfferSource::Layers => return Err(error),
            merged => merged,
        }
    };
    drop(here);
    let Ok(tree) = merged else { return Ok(None) };
    let contents = Glimpsed { repository, source, outlines: RefCell::new(outlines) };
    let units = units_in(&contents, &tree);
    let refs =
        units.and_then(|units| units.into_iter().map(|unit| unit.map_err(DeployError::from)).collect());
    match refs {
        Ok(refs) => Ok(Some((how, refs))),
        // The image's own fault, which its download would meet as well.
        Err(error @ (DeployError::BoundUnit { .. } | DeployError::TooBig { .. })) => Err(error),
        Err(error) if how == OfferSource::Layers => Err(error),
        Err(_) => Ok(None),
    }
}

/// What the missing layers hold; nothing if that of any is not known.
fn outline(
    repository: &Repository,
    source: &dyn Source,
    missing: &[&PlannedLayer],
    options: &ImportOptions,
    control: &Control,
) -> Option<HashMap<DiffId, LayerOutline>> {
    let outlines = side_by_side(missing, control, |layer| {
        let outline = LayerOutline::fetch(source, &layer.descriptor, repository.algorithm(), options)?;
        Ok(outline.map(|outline| (layer.diff_id, outline)))
    });
    let outlines: HashMap<_, _> = outlines.ok()?.into_iter().collect::<Option<_>>()?;
    let bytes: u64 = outlines.values().map(|outline| outline.tree().encoded_len() as u64).sum();
    (bytes <= options.limits.image_tree_bytes).then_some(outlines)
}

/// Contents of layers that are here and of those that are not.
struct Glimpsed<'a> {
    repository: &'a Repository,
    source: &'a dyn Source,
    outlines: RefCell<HashMap<DiffId, LayerOutline>>,
}

impl Contents for Glimpsed<'_> {
    fn read(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>, DeployError> {
        for outline in self.outlines.borrow_mut().values_mut() {
            if let Some(bytes) = outline.read(self.source, id, limit)? {
                return Ok(bytes);
            }
        }
        Ok(self.repository.read_object(id, limit)?)
    }
}
