//! Whether a layout is whole, found with `serde_json` and `sha2` alone.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::layout::digest;

/// What a tag of a layout lacks, if anything: the tag, or a blob that is under its digest, byte for byte.
pub fn missing_tag(layout: &Path, tag: &str) -> Option<String> {
    look(layout, tag).err()
}

fn look(layout: &Path, tag: &str) -> Result<(), String> {
    let index = json(&layout.join("index.json"))?;
    json(&layout.join("oci-layout"))?;
    let images = index["manifests"].as_array().ok_or("no manifests")?;
    let found = |image: &&Value| image["annotations"]["org.opencontainers.image.ref.name"] == tag;
    let image = images.iter().find(found).ok_or_else(|| format!("no tag {tag} in {index}"))?;
    let manifest: Value = serde_json::from_slice(&blob(layout, image)?).map_err(|error| error.to_string())?;
    blob(layout, &manifest["config"])?;
    manifest["layers"]
        .as_array()
        .ok_or("no layers")?
        .iter()
        .try_for_each(|layer| blob(layout, layer).map(drop))
}

fn json(path: &Path) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The bytes that a descriptor names.
fn blob(layout: &Path, descriptor: &Value) -> Result<Vec<u8>, String> {
    let name = descriptor["digest"].as_str().ok_or("no digest")?;
    let path = layout.join("blobs").join(name.replace(':', "/"));
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let size = descriptor["size"].as_u64();
    if digest(&bytes) == name && size == Some(bytes.len() as u64) {
        Ok(bytes)
    } else {
        Err(format!("{name} is another"))
    }
}

/// The `diff_ids` of an image in a layout, by unpacking its layers, and its configuration's digest.
pub fn diff_ids(layout: &Path, tag: &str) -> (Vec<String>, String) {
    let index = json(&layout.join("index.json")).expect("an index");
    let images = index["manifests"].as_array().expect("manifests");
    let image = images
        .iter()
        .find(|image| tag.is_empty() || image["annotations"]["org.opencontainers.image.ref.name"] == tag);
    let manifest = blob(layout, image.expect("the tag")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let layers = manifest["layers"].as_array().expect("layers").iter();
    let tars = layers.map(|layer| digest(&unpacked(&blob(layout, layer).expect("a blob"))));
    (tars.collect(), manifest["config"]["digest"].as_str().expect("a digest").to_owned())
}

/// What is in a blob.
pub fn unpacked(blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match blob {
        [0x1f, 0x8b, ..] => {
            flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut tar).expect("gzip");
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => tar = zstd::stream::decode_all(blob).expect("zstd"),
        _ => tar = blob.to_vec(),
    }
    tar
}
