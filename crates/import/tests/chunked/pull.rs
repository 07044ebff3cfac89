//! What a partial pull fetches, and what comes of it.

use sealstone_import::{ImportOptions, import, source};
use sealstone_store::{Control, disk::RealDisk};

use crate::kit::{Images, Layer, Machine, TOC_DIGEST, full_pull, sha256, tar_of, tree};

fn two() -> (Layer, Layer) {
    (Layer::pack(&tree(1)), Layer::pack(&tree(2)))
}

#[test]
fn of_an_update_only_what_changed_is_fetched_and_the_image_is_that_of_a_full_pull() {
    let (old, new) = two();
    let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    let first = machine.pull(&server, "old").unwrap();
    assert_eq!(first.layers[0].whole_because.as_deref(), Some("nothing here is indexed"));
    assert_eq!(first.fetched_bytes(), old.blob.len() as u64);

    let plan = machine.plan(&server, "new");
    assert!(plan.layers[0].is_partial);
    let asked = server.requests_of(&new.digest()).len();
    let second = machine.pull(&server, "new").unwrap();
    let layer = &second.layers[0];
    assert!(layer.is_partial && layer.whole_because.is_none(), "{:?}", layer.whole_because);
    assert_eq!(layer.fetched_bytes, plan.bytes_to_read(), "a dry run tells the bytes exactly");
    let share = layer.fetched_bytes * 100 / new.blob.len() as u64;
    assert!(share <= 17, "{share} % of the blob was fetched");
    // 11 of the changed files and contents are new, and one of them is there twice; nothing else.
    assert_eq!((layer.new_objects, machine.warnings.lock().unwrap().len()), (12, 0));
    let requests = server.requests_of(&new.digest());
    assert!(requests.len() > asked + 1 && requests.iter().all(|one| one.header("range").is_some()));
    assert_eq!(machine.stream(&new), full_pull(&new));
    machine.assert_healthy();
}

#[test]
fn what_was_fetched_in_part_is_indexed_and_need_not_be_fetched_again() {
    let (old, new) = two();
    let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    machine.pull(&server, "new").unwrap();
    let renamed = Layer::pack(&tree(2).replace_name(b"usr/tiny", b"usr/tinx"));
    let server = Images::of(&[("renamed", &renamed)]).serve(|_, _, _| None);
    let report = machine.pull(&server, "renamed").unwrap();
    assert!(report.layers[0].is_partial);
    assert!(report.fetched_bytes() <= renamed.sheet_bytes() + 100, "only the table and a file of 4 bytes");
    assert_eq!(report.new_objects(), 0);
}

trait ReplaceName {
    fn replace_name(self, old: &[u8], new: &[u8]) -> Vec<u8>;
}

impl ReplaceName for Vec<u8> {
    /// Renames an entry of the same length, and mends its header's checksum.
    fn replace_name(mut self, old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut renamed = 0;
        for block in self.chunks_mut(512).filter(|block| block.starts_with(old) && block[old.len()] == 0) {
            block[..new.len()].copy_from_slice(new);
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            renamed += 1;
        }
        assert_eq!(renamed, 1);
        self
    }
}

#[test]
fn a_store_that_was_filled_by_other_layers_serves_once_it_is_indexed() {
    let (old, new) = two();
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    plain_layout(folder.path(), &tree(1));
    let reference = format!("oci:{}", folder.path().display()).parse().unwrap();
    let options = ImportOptions::default();
    let local = source::open(&RealDisk::shared(), &reference, &options.limits).unwrap();
    let _ = import(&machine.repository, &*local, Some("plain"), &options, &Control::new()).unwrap();
    assert!(machine.repository.content_index().unwrap().is_empty(), "plain layers cost no third hash");
    assert_eq!(old.diff_id, sha256(&tree(1)));
    machine.index();
    let server = Images::of(&[("new", &new)]).serve(|_, _, _| None);
    assert!(machine.pull(&server, "new").unwrap().layers[0].is_partial);
    assert_eq!(machine.stream(&new), full_pull(&new));
    machine.assert_healthy();
}

/// A layout with one image of one plain layer.
fn plain_layout(folder: &std::path::Path, tar: &[u8]) {
    let mut images = Images::default();
    let config = serde_json::json!({"os": "linux", "architecture": std::env::consts::ARCH,
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]}});
    let config = images.put("config.v1+json", config.to_string().into_bytes());
    let layer = images.put("layer.v1.tar", tar.to_vec());
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = images.put("manifest.v1+json", manifest.to_string().into_bytes());
    std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    for (digest, bytes) in &images.blobs {
        std::fs::write(folder.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[test]
fn with_little_in_common_all_of_the_blob_is_fetched_and_the_report_says_why() {
    let (old, new) = two();
    let small = Layer::pack(&tar_of([("usr/share/file001", &crate::kit::noise(3331, 1)[..])]));
    let server = Images::of(&[("small", &small), ("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "small").unwrap();
    let plan = machine.plan(&server, "new");
    assert_eq!(plan.bytes_to_read(), new.blob.len() as u64 + new.sheet_bytes());
    let report = machine.pull(&server, "new").unwrap();
    let layer = &report.layers[0];
    assert!(!layer.is_partial);
    assert!(layer.whole_because.as_ref().unwrap().contains("would have to be fetched"));
    assert_eq!(layer.fetched_bytes, new.blob.len() as u64 + new.sheet_bytes());
    assert_eq!(machine.warnings.lock().unwrap().len(), 0, "an ordinary reason is no warning");
}

#[test]
fn asked_to_read_everything_an_import_fetches_everything() {
    let (old, new) = two();
    let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let mut options = ImportOptions::default();
    options.verify_existing = true;
    let report = machine.pull_with(&server, "new", &options).unwrap();
    assert_eq!(report.layers[0].whole_because.as_deref(), Some("everything was to be read"));
}

#[test]
fn layers_of_the_old_format_and_of_none_are_plain_zstd() {
    let (old, mut new) = two();
    new.annotations = new
        .annotations
        .iter()
        .map(|(key, value)| (key.replace("io.github.containers", "io.containers"), value.clone()))
        .collect();
    assert!(!new.annotations.contains_key(TOC_DIGEST));
    let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let report = machine.pull(&server, "new").unwrap();
    assert!(!report.layers[0].is_partial && report.layers[0].whole_because.is_none());
    assert!(server.requests_of(&new.digest()).iter().all(|one| one.header("range").is_none()));
}

#[test]
fn an_object_that_rotted_here_is_noticed_and_the_whole_blob_is_fetched() {
    let (old, new) = two();
    let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let body = crate::kit::noise(700_000, 7);
    let id = sealstone_store::verity::digest(machine.repository.algorithm(), &body);
    let path = machine.folder.path().join("repo/objects").join(id.object_path());
    let mut bad = body;
    bad[5000] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let report = machine.pull(&server, "new").unwrap();
    assert!(!report.layers[0].is_partial);
    assert!(machine.warnings.lock().unwrap()[0].contains("could not be had in part"));
    assert_eq!(machine.stream(&new), full_pull(&new));
}
