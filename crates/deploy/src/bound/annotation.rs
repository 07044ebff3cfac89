//! The annotation by which a manifest says what its image binds: so that an update can be weighed before it is fetched.
//!
//! What lives here: the annotation's text, and writing it into a manifest. What does not: layouts
//! ([`annotate`](sealstone_import::export::annotate)). The text is a claim, for reports alone: what is deployed comes from
//! the image's own units.

use std::collections::BTreeMap;

use super::{BoundImage, OfferedBound};

/// The annotation's key: its value is a list in JSON of `unit`, `reference`, `manifest` and `bytes`.
pub const BOUND_ANNOTATION: &str = "org.sealstone.bound-images";

/// The annotation's text for these images.
#[must_use]
pub fn annotation_of(images: &[BoundImage]) -> String {
    let one = |image: &BoundImage| {
        serde_json::json!({
            "unit": image.unit,
            "reference": image.reference,
            "manifest": image.manifest.to_string(),
            "bytes": image.bytes,
        })
    };
    serde_json::Value::from(images.iter().map(one).collect::<Vec<_>>()).to_string()
}

/// What the annotation says, if a manifest's annotations have it.
///
/// # Errors
/// The reason, as text, when it cannot be read.
#[must_use]
pub fn read_annotation(annotations: &BTreeMap<String, String>) -> Option<Result<Vec<OfferedBound>, String>> {
    let text = annotations.get(BOUND_ANNOTATION)?;
    Some(serde_json::from_str(text).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_reads_back_and_a_broken_one_is_told() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = BoundImage {
            unit: "a.image".into(),
            reference: "q.io/a:1".into(),
            resolved: digest.parse().unwrap(),
            manifest: digest.parse().unwrap(),
            config: digest.parse().unwrap(),
            bytes: Some(7),
        };
        let read = |text: &str| {
            read_annotation(&BTreeMap::from([(BOUND_ANNOTATION.to_owned(), text.to_owned())])).unwrap()
        };
        let found = read(&annotation_of(&[image])).unwrap();
        assert_eq!((found[0].reference.as_str(), found[0].bytes), ("q.io/a:1", Some(7)));
        assert_eq!(found[0].manifest.as_deref(), Some(digest.as_str()));
        assert!(read("{}").is_err());
        assert!(read_annotation(&BTreeMap::new()).is_none());
    }
}
