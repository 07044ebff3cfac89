//! `layers.json`: the layers of a containers-storage, each with the one that it lies on.
//!
//! Source of the format: containers/storage, `layers.go`.

use std::collections::HashMap;

use serde::Deserialize;

use super::is_id;
use crate::{
    Limits,
    error::{ImportError, Result},
};

/// What `layers.json` says, by id.
#[derive(Clone, Debug)]
pub struct StorageLayers(HashMap<String, StorageLayer>);

/// One layer of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageLayer {
    pub(super) id: String,
    #[serde(default)]
    parent: Option<String>,
    /// Bytes of its tar; absent or negative where nobody counted them.
    #[serde(default, rename = "diff-size")]
    diff_size: Option<i64>,
}

impl StorageLayer {
    /// Bytes of its tar, if they were counted.
    pub(super) fn tar_bytes(&self) -> Option<u64> {
        u64::try_from(self.diff_size?).ok()
    }
}

impl StorageLayers {
    /// Reads a `layers.json`.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let layers: Vec<StorageLayer> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut by_id = HashMap::with_capacity(layers.len());
        for layer in layers {
            let id = layer.id.clone();
            if !is_id(&id) {
                return Err(format!("{:?} is no id", id.chars().take(80).collect::<String>()));
            }
            if by_id.insert(id, layer).is_some() {
                return Err("it has one layer twice".to_owned());
            }
        }
        Ok(Self(by_id))
    }

    /// A layer and all below it, the lowest first. `place` names the storage in errors.
    ///
    /// # Errors
    /// When one is missing, or there are more than an image may have, as there are of layers that lie on each other in a
    /// circle.
    pub fn chain(&self, top: Option<&str>, place: &str, limits: &Limits) -> Result<Vec<&StorageLayer>> {
        let mut chain = Vec::new();
        let mut next = top;
        // An image without layers has "" in place of the topmost one; the lowest layer in place of its parent.
        while let Some(id) = next.filter(|id| !id.is_empty()) {
            if chain.len() == limits.layers {
                let what = format!("number of layers of an image in {place}");
                return Err(ImportError::TooBig { what, limit: limits.layers as u64 });
            }
            let layer = self.0.get(id).ok_or_else(|| {
                let what = format!("layer {:?}", id.chars().take(80).collect::<String>());
                ImportError::Missing { what, place: place.to_owned() }
            })?;
            chain.push(layer);
            next = layer.parent.as_deref();
        }
        chain.reverse();
        Ok(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[
        {"id":"top","parent":"middle","diff-size":3},
        {"id":"bottom","parent":"","diff-size":1},
        {"id":"middle","parent":"bottom","diff-size":-1},
        {"id":"one","parent":"two"},
        {"id":"two","parent":"one"},
        {"id":"orphan","parent":"gone"}
    ]"#;

    fn chain(top: &str) -> Result<Vec<(String, Option<u64>)>> {
        let layers = StorageLayers::parse(TEXT.as_bytes()).unwrap();
        let chain = layers.chain(Some(top), "the storage", &Limits::default())?;
        Ok(chain.into_iter().map(|layer| (layer.id.clone(), layer.tar_bytes())).collect())
    }

    #[test]
    fn a_chain_of_layers_begins_with_the_lowest() {
        let expected = [("bottom", Some(1)), ("middle", None), ("top", Some(3))];
        assert_eq!(chain("top").unwrap(), expected.map(|(id, size)| (id.to_owned(), size)));
        assert_eq!(chain("").unwrap(), []);
    }

    #[test]
    fn circles_orphans_and_layers_that_are_there_twice_are_refused() {
        assert!(matches!(chain("one"), Err(ImportError::TooBig { limit: 1024, .. })));
        assert!(matches!(chain("orphan"), Err(ImportError::Missing { .. })));
        for (bad, reason) in [
            (r#"[{"id":"a"},{"id":"a"}]"#, "twice"),
            (r#"[{"id":"../a"}]"#, "no id"),
            (r#"{"id":"a"}"#, "invalid type"),
        ] {
            assert!(StorageLayers::parse(bad.as_bytes()).unwrap_err().contains(reason), "{bad}");
        }
    }
}
