//! Programs that are not ours: what they wrote is read, what we write they read.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;
use zstd_chunked::{MetadataReferences, Stream};

use crate::kit::{Images, Layer, Machine, sha256, tar_of, tree};

/// The images that skopeo 1.22.0 wrote; see the README beside them.
fn skopeo() -> (Images, BTreeMap<String, Layer>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chunked/skopeo/layout");
    let read = |digest: &Value| {
        fs::read(root.join("blobs").join(digest.as_str().unwrap().replace(':', "/"))).unwrap()
    };
    let index: Value = serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap();
    let (mut images, mut layers) = (Images::default(), BTreeMap::new());
    for described in index["manifests"].as_array().unwrap() {
        let tag = described["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned();
        let manifest: Value = serde_json::from_slice(&read(&described["digest"])).unwrap();
        let layer = &manifest["layers"][0];
        let blob = read(&layer["digest"]);
        layers.insert(
            tag.clone(),
            Layer {
                diff_id: sha256(&zstd::decode_all(blob.as_slice()).unwrap()),
                annotations: serde_json::from_value(layer["annotations"].clone()).unwrap(),
                blob,
            },
        );
        for digest in [&described["digest"], &manifest["config"]["digest"], &layer["digest"]] {
            images.blobs.insert(digest.as_str().unwrap().to_owned(), read(digest));
        }
        images.tags.insert(tag, described["digest"].as_str().unwrap().to_owned());
    }
    (images, layers)
}

#[test]
fn images_that_skopeo_wrote_are_pulled_in_part() {
    let (images, layers) = skopeo();
    let server = images.serve(|_, _, _| None);
    let machine = Machine::new();
    let mut options = sealstone_import::ImportOptions::default();
    options.platform = "linux/amd64".parse().unwrap();
    machine.pull_with(&server, "old", &options).unwrap();
    let report = machine.pull_with(&server, "new", &options).unwrap();
    let layer = &report.layers[0];
    assert!(layer.is_partial, "{:?}", layer.whole_because);
    assert!(layer.fetched_bytes < layer.blob_bytes / 3, "{} of {}", layer.fetched_bytes, layer.blob_bytes);
    assert_eq!(machine.stream(&layers["new"]), crate::kit::full_pull(&layers["new"]));
    machine.assert_healthy();
}

/// The lines of a tar-split, with neighbouring raw bytes joined: where they are cut is the writer's choice.
fn lines(tar_split: &str) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in tar_split.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let payload = line["payload"].as_str().unwrap_or_default().to_owned();
        if line["type"] == 1 {
            lines.push((format!("{} {} {payload}", line["name"], line["size"]), String::new()));
            continue;
        }
        let raw: String = payload.trim_end_matches('=').to_owned();
        match lines.last_mut() {
            // Whole blocks have a length that base64 does not pad evenly: compared as the number of lines alone.
            Some((name, _)) if name.is_empty() => {}
            _ => lines.push((String::new(), raw.chars().take(600).collect())),
        }
    }
    lines
}

#[test]
fn of_the_same_tar_we_write_the_table_and_the_tar_split_that_skopeo_writes() {
    for layer in skopeo().1.values() {
        let tar = zstd::decode_all(layer.blob.as_slice()).unwrap();
        let ours = Layer::pack(&tar);
        let names = |text: &str| -> Vec<String> {
            lines(text).into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect()
        };
        assert_eq!(names(&ours.tar_split()), names(&layer.tar_split()), "names, sizes and checksums");
        let entries = |layer: &Layer| -> Vec<Value> {
            let mut entries = layer.toc()["entries"].as_array().unwrap().clone();
            for entry in &mut entries {
                // Where frames lie depends on the compressor.
                let entry = entry.as_object_mut().unwrap();
                entry.remove("offset");
                entry.remove("endOffset");
            }
            entries
        };
        assert_eq!(entries(&ours), entries(layer));
    }
}

#[test]
fn an_independent_reader_makes_the_tar_of_our_blob_again() {
    let tar = tree(1);
    let layer = Layer::pack(&tar);
    for references in [
        MetadataReferences::from_footer(&layer.blob).unwrap(),
        MetadataReferences::from_oci(|key| layer.annotations.get(key)).unwrap(),
    ] {
        let part = |range: &std::ops::Range<u64>| {
            let place = |at: u64| usize::try_from(at).unwrap();
            &layer.blob[place(range.start)..place(range.end)]
        };
        let stream =
            Stream::new_from_frames(part(&references.manifest.range), part(&references.tarsplit.range))
                .unwrap();
        let mut made = Vec::new();
        stream
            .write_to(&mut made, |reference| {
                let content = zstd::decode_all(part(&reference.range)).unwrap();
                assert_eq!(
                    (sha256(&content), content.len() as u64),
                    (reference.digest.clone(), reference.size)
                );
                Ok(content)
            })
            .unwrap();
        assert!(made == tar);
    }
}

#[test]
fn the_zstd_program_unpacks_our_blob_to_the_tar() {
    let folder = tempfile::tempdir().unwrap();
    let (packed, unpacked) = (folder.path().join("blob.zst"), folder.path().join("tar"));
    let tar = tar_of([("usr/a", &b"content"[..]), ("usr/b", &[0; 9000])]);
    fs::write(&packed, Layer::pack(&tar).blob).unwrap();
    match Command::new("zstd").arg("-dq").arg(&packed).arg("-o").arg(&unpacked).status() {
        Ok(status) => assert!(status.success() && fs::read(&unpacked).unwrap() == tar),
        Err(error) => println!("skipped: no program zstd ({error})"),
    }
}
