//! A layout's `index.json`, with an image added to it.

use serde_json::{Map, Value, json};

use super::sink::Outgoing;
use crate::{error::ImportError, error::Result, oci::Index};

/// The marker of a layout (image-spec, image-layout.md).
pub(super) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Checks an index that is to gain an image. `place` is its layout.
pub(super) fn check(index: &[u8], place: &str) -> Result<()> {
    let malformed = |reason| ImportError::malformed(format!("index.json of {place}"), reason);
    Index::parse(index).map(drop).map_err(malformed)
}

/// The index with an image added under a tag, which is taken from what had it. Without a tag, it is added unless it is
/// there without one.
pub(super) fn with_image(
    index: Option<&[u8]>,
    manifest: &Outgoing<'_>,
    tag: Option<&str>,
    place: &str,
) -> Result<Vec<u8>> {
    let malformed = |reason: String| ImportError::malformed(format!("index.json of {place}"), reason);
    let mut value = match index {
        Some(bytes) => {
            check(bytes, place)?;
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?
        }
        None => Map::new(),
    };
    value.entry("schemaVersion").or_insert(json!(2));
    value.entry("mediaType").or_insert(json!("application/vnd.oci.image.index.v1+json"));
    let images = value.entry("manifests").or_insert(json!([]));
    let images = images.as_array_mut().ok_or_else(|| malformed("manifests is no list".to_owned()))?;
    let digest = manifest.digest.to_string();
    images.retain(|image| {
        let name = image.get("annotations").and_then(|all| all.get(REF_NAME)).and_then(Value::as_str);
        let is_same = image.get("digest").and_then(Value::as_str) == Some(&digest);
        if tag.is_some() { name != tag } else { !(is_same && name.is_none()) }
    });
    let mut image = json!({
        "mediaType": manifest.media_type, "digest": digest, "size": manifest.bytes.len(),
    });
    if let (Some(tag), Some(image)) = (tag, image.as_object_mut()) {
        image.insert("annotations".to_owned(), json!({ REF_NAME: tag }));
    }
    images.push(image);
    serde_json::to_vec(&value).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, DigestAlgorithm};

    fn add(index: Option<&[u8]>, bytes: &[u8], tag: Option<&str>) -> Vec<u8> {
        let digest = Digest::of(DigestAlgorithm::Sha256, bytes);
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        with_image(index, &Outgoing { media_type, digest, bytes }, tag, "oci:x").unwrap()
    }

    fn tags(index: &[u8]) -> Vec<Option<String>> {
        let index = Index::parse(index).unwrap();
        index.manifests.iter().map(|one| one.ref_name().map(str::to_owned)).collect()
    }

    #[test]
    fn an_image_takes_its_tag_and_leaves_the_others_alone() {
        let index = add(None, b"a", Some("one"));
        let index = add(Some(&index), b"b", Some("two"));
        let index = add(Some(&index), b"c", Some("one"));
        assert_eq!(tags(&index), [Some("two".to_owned()), Some("one".to_owned())]);
        assert_eq!(
            *Index::parse(&index).unwrap().manifests[1].digest(),
            Digest::of(DigestAlgorithm::Sha256, b"c")
        );
    }

    #[test]
    fn an_image_without_a_tag_is_there_once() {
        let index = add(None, b"a", None);
        assert_eq!(add(Some(&index), b"a", None), index);
        assert_eq!(tags(&add(Some(&index), b"b", None)), [None, None]);
    }

    #[test]
    fn what_others_wrote_into_an_index_stays() {
        let old = br#"{"schemaVersion":2,"manifests":[],"annotations":{"kept":"yes"}}"#;
        assert!(String::from_utf8(add(Some(old), b"a", None)).unwrap().contains(r#""kept":"yes""#));
        let digest = Digest::of(DigestAlgorithm::Sha256, b"a");
        let manifest = Outgoing { media_type: "x", digest, bytes: b"a" };
        assert!(with_image(Some(b"[]"), &manifest, None, "oci:x").is_err());
    }
}
