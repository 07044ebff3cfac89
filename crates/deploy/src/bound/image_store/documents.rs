//! `images.json` and `layers.json`, and the small files beside the layers' folders.

use sealstone_import::{Digest, DigestAlgorithm, source::containers_storage::big_data_file};
use serde_json::{Map, Value, json};

use super::describe::{Description, StoreImage};

/// When an image that does not say was made.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// How many characters a layer's short name has, by which overlayfs is told of it.
const LINK_LEN: usize = 26;

/// The short name of a layer: its id's beginning, in the letters that podman uses.
pub(super) fn link_name(id: &str) -> String {
    id.chars().take(LINK_LEN).collect::<String>().to_ascii_uppercase()
}

/// The documents of an image: key, name of the file, content.
pub(super) fn big_data(image: &StoreImage) -> [(String, String, &[u8]); 3] {
    let (manifest, config) = (&image.manifest, &image.config);
    let data: [(String, &[u8]); 3] = [
        (config.0.to_string(), &config.1),
        (format!("manifest-{}", manifest.0), &manifest.1),
        ("manifest".to_owned(), &manifest.1),
    ];
    data.map(|(key, bytes)| {
        let file = big_data_file(&key);
        (key, file, bytes)
    })
}

/// `images.json`.
pub(super) fn images_json(all: &Description) -> Value {
    let image = |image: &StoreImage| {
        let data = big_data(image);
        let keys: Vec<&String> = data.iter().map(|(key, ..)| key).collect();
        let sizes = data.iter().map(|(key, _, bytes)| (key.clone(), json!(bytes.len())));
        let digests = data.iter().map(|(key, _, bytes)| {
            (key.clone(), json!(Digest::of(DigestAlgorithm::Sha256, bytes).to_string()))
        });
        json!({
            "id": image.id,
            "digest": image.manifest.0.to_string(),
            "names": image.names,
            "layer": image.layers.last().map(String::as_str).unwrap_or_default(),
            "metadata": "{}",
            "big-data-names": keys,
            "big-data-sizes": sizes.collect::<Map<_, _>>(),
            "big-data-digests": digests.collect::<Map<_, _>>(),
            "created": image.created.as_deref().unwrap_or(UNKNOWN_TIME),
        })
    };
    all.images.iter().map(image).collect()
}

/// `layers.json`: a layer comes after those that it lies on.
pub(super) fn layers_json(all: &Description) -> Value {
    let mut layers: Vec<_> = all.layers.iter().collect();
    layers.sort_by_key(|(id, layer)| (layer.below.len(), *id));
    let layer = |(id, layer): (&String, &super::describe::StoreLayer)| {
        let mut value = json!({
            "id": id,
            "created": UNKNOWN_TIME,
            "diff-digest": layer.diff_id.to_string(),
            "diff-size": layer.tar_bytes,
        });
        if let (Some(parent), Some(value)) = (layer.below.last(), value.as_object_mut()) {
            value.insert("parent".to_owned(), json!(parent));
        }
        value
    };
    layers.into_iter().map(layer).collect()
}
