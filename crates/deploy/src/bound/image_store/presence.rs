//! What an image store lacks of what it should hold.

use std::collections::HashMap;

use sealstone_store::{Optional, disk::Dir};
use serde::Deserialize;

use crate::{DeployError, bound::BoundImage};

/// The most bytes of one of its documents.
const DOCUMENT_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Image {
    id: String,
    #[serde(default)]
    layer: String,
}

#[derive(Deserialize)]
struct Layer {
    id: String,
    #[serde(default)]
    parent: String,
}

/// The images that a store does not hold with all their layers. Their content is not looked at.
pub(crate) fn missing_in<'a>(dir: &Dir, bound: &'a [BoundImage]) -> Result<Vec<&'a BoundImage>, DeployError> {
    let images: Vec<Image> = read(dir, "overlay-images/images.json")?;
    let layers: Vec<Layer> = read(dir, "overlay-layers/layers.json")?;
    let parents: HashMap<&str, &str> =
        layers.iter().map(|layer| (layer.id.as_str(), layer.parent.as_str())).collect();
    let mut missing = Vec::new();
    for image in bound {
        let id = image.config.digest().to_hex();
        let found = images.iter().find(|found| found.id == id);
        let is_whole = match found {
            Some(found) => has_layers(dir, &found.layer, &parents)?,
            None => false,
        };
        if !is_whole {
            missing.push(image);
        }
    }
    Ok(missing)
}

/// Whether a layer and all below it have their folders.
fn has_layers(dir: &Dir, top: &str, parents: &HashMap<&str, &str>) -> Result<bool, DeployError> {
    let mut at = top;
    // Each layer is below at most once, unless they lie on each other in a circle.
    for _ in 0..=parents.len() {
        if at.is_empty() {
            return Ok(true);
        }
        let Some(parent) = parents.get(at) else { return Ok(false) };
        if at.contains('/') || dir.metadata(format!("overlay/{at}/diff")).optional()?.is_none() {
            return Ok(false);
        }
        at = *parent;
    }
    Ok(false)
}

/// A document of the store; one that is not there, or damaged, has nothing.
fn read<T: for<'de> Deserialize<'de>>(dir: &Dir, name: &str) -> Result<Vec<T>, DeployError> {
    let Some(file) = dir.open_file(name).optional()? else { return Ok(Vec::new()) };
    Ok(serde_json::from_slice(&file.read_all(DOCUMENT_MAX)?).unwrap_or_default())
}
