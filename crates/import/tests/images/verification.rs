//! Every digest and size is checked, nothing is published before all of them, and lies leave no trace for later images.

use std::fs;

use sealstone_import::{ImportError, LayerOrigin, streams};
use sealstone_store::splitstream::SplitStreamWriter;
use serde_json::json;

use crate::kit::{Fixture, MANIFEST, Packing, edit, noise, sha256, tar_of};

fn tar() -> Vec<u8> {
    tar_of(&[("a", &noise(300_000, 1)), ("b", b"small"), ("c", &noise(5000, 2))])
}

#[test]
fn a_flipped_bit_anywhere_in_a_layer_is_reported_by_its_digest() {
    for packing in Packing::ALL {
        let tar = tar();
        let blob = packing.pack(&tar);
        // The magic stays: a blob that became another format is still told by its digest, below.
        for at in [9, 40, 600, blob.len() / 2, blob.len() - 600, blob.len() - 5, blob.len() - 1] {
            let fixture = Fixture::with_layers(&[(&tar, packing)]);
            let path = fixture.blob_path(&sha256(&blob));
            edit(&path, |bytes| bytes[at] ^= 0x10);
            let error = fixture.refusal();
            let ImportError::Digest { expected, .. } = &error else { panic!("{packing:?} {at}: {error}") };
            assert_eq!(expected.to_string(), sha256(&blob));
            assert!(error.is_untrusted());
            // What is honest comes in later, whole.
            fs::write(&path, &blob).unwrap();
            fixture.import().unwrap();
            fixture.assert_has(&[&tar]);
        }
    }
}

#[test]
fn a_blob_that_became_another_format_is_reported_by_its_digest() {
    let tar = tar();
    let blob = Packing::Gzip.pack(&tar);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    edit(&fixture.blob_path(&sha256(&blob)), |bytes| bytes[..6].copy_from_slice(b"\xfd7zXZ\0"));
    assert!(matches!(fixture.refusal(), ImportError::Digest { .. }));
}

#[test]
fn a_lying_diff_id_is_refused_and_poisons_nothing() {
    for packing in Packing::ALL {
        let (evil, good) = (tar_of(&[("x", b"EVIL")]), tar_of(&[("x", b"GOOD")]));
        let fixture = Fixture::new();
        let layer = fixture.layer(&evil, packing);
        // The evil image says that its layer is the good one.
        fixture.index(&[fixture.manifest(&[layer], &[sha256(&good)])]);
        let error = fixture.refusal();
        let ImportError::Digest { expected, actual, .. } = &error else { panic!("{error}") };
        assert_eq!((expected.to_string(), actual.to_string()), (sha256(&good), sha256(&evil)));
        // The honest image that names the good layer gets the good bytes.
        fixture.index(&[fixture.image(&[(&good, packing)])]);
        fixture.import().unwrap();
        fixture.assert_has(&[&good]);
    }
}

#[test]
fn a_layer_that_another_program_stored_unchecked_is_not_believed() {
    let (evil, good) = (tar_of(&[("x", b"EVIL")]), tar_of(&[("x", b"GOOD")]));
    let fixture = Fixture::with_layers(&[(&good, Packing::Gzip)]);
    let repository = fixture.repository();
    let transaction = repository.transaction().unwrap();
    let mut stream = SplitStreamWriter::new(&transaction, u64::from_le_bytes(*b"ocilayer")).unwrap();
    stream.inline(&evil);
    let id = stream.finish().unwrap().id;
    let diff_id = sha256(&good).parse().unwrap();
    transaction.name_stream(streams::layer_stream(&diff_id).unwrap(), id);
    let _ = transaction.commit(()).unwrap();
    let report = fixture.import().unwrap();
    assert_eq!(report.layers[0].origin, LayerOrigin::Imported);
    fixture.assert_has(&[&good]);
}

#[test]
fn a_layer_that_is_longer_or_shorter_than_its_size_is_refused() {
    for packing in Packing::ALL {
        for difference in [-1_i64, 1, 100_000, -40_000] {
            let tar = tar();
            let fixture = Fixture::new();
            let mut layer = fixture.layer(&tar, packing);
            let size = layer["size"].as_i64().unwrap();
            layer["size"] = json!(size + difference);
            fixture.index(&[fixture.manifest(&[layer], &[sha256(&tar)])]);
            let error = fixture.refusal();
            assert!(matches!(&error, ImportError::Size { .. }), "{packing:?} {difference}: {error}");
            assert!(error.is_untrusted());
        }
    }
}

#[test]
fn a_truncated_blob_is_a_wrong_size() {
    for packing in Packing::ALL {
        let tar = tar();
        let blob = packing.pack(&tar);
        for cut in [0, 3, 10, blob.len() / 2, blob.len() - 1] {
            let fixture = Fixture::with_layers(&[(&tar, packing)]);
            edit(&fixture.blob_path(&sha256(&blob)), |bytes| bytes.truncate(cut));
            let error = fixture.refusal();
            let ImportError::Size { actual, .. } = error else { panic!("{packing:?} {cut}: {error}") };
            assert_eq!(actual, cut as u64);
        }
    }
}

#[test]
fn a_changed_manifest_or_configuration_is_refused() {
    let tar = tar();
    for (kind, same_size) in [("manifest", true), ("manifest", false), ("configuration", true)] {
        let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
        let index = fs::read_to_string(fixture.layout().join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        let manifest = fixture.blob_path(index["manifests"][0]["digest"].as_str().unwrap());
        let path = if kind == "manifest" {
            manifest
        } else {
            let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
            fixture.blob_path(manifest["config"]["digest"].as_str().unwrap())
        };
        edit(&path, |bytes| if same_size { bytes[20] ^= 1 } else { bytes.push(b' ') });
        let error = fixture.refusal();
        assert!(error.is_untrusted() && error.to_string().starts_with(kind), "{error}");
    }
}

#[test]
fn as_many_diff_ids_as_layers_or_nothing() {
    let tar = tar();
    for count in [0, 2] {
        let fixture = Fixture::new();
        let layer = fixture.layer(&tar, Packing::Gzip);
        fixture.index(&[fixture.manifest(&[layer], &vec![sha256(&tar); count])]);
        let error = fixture.refusal();
        assert!(
            matches!(&error, ImportError::Malformed { reason, .. } if reason.contains("diff_ids")),
            "{error}"
        );
    }
}

#[test]
fn one_bad_layer_among_good_ones_publishes_none_of_them() {
    let good = tar();
    let bad = tar_of(&[("bad", &noise(2_000_000, 9))]);
    let fixture = Fixture::with_layers(&[(&good, Packing::Gzip), (&bad, Packing::Zstd)]);
    edit(&fixture.blob_path(&sha256(&Packing::Zstd.pack(&bad))), |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    assert!(fixture.refusal().is_untrusted());
}

#[test]
fn what_is_no_tar_is_refused_by_entry_and_place() {
    let fixture = Fixture::with_layers(&[(&[b'x'; 2000], Packing::Gzip)]);
    let error = fixture.refusal();
    assert!(matches!(&error, ImportError::Refused { .. }), "{error}");
    assert!(!error.is_untrusted(), "the image is just what its digests say");
}

#[test]
fn damaged_compression_that_the_digests_agree_with_is_refused_as_such() {
    let tar = tar();
    let mut blob = Packing::Gzip.pack(&tar);
    let at = blob.len() - 6;
    blob[at] ^= 1;
    let fixture = Fixture::new();
    let layer = fixture.blob(&Packing::Gzip.media_type(), &blob);
    fixture.index(&[fixture.manifest(&[layer], &[sha256(&tar)])]);
    assert!(matches!(fixture.refusal(), ImportError::Decode { .. }));
}

#[test]
fn a_missing_blob_is_missing() {
    let tar = tar();
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fs::remove_file(fixture.blob_path(&sha256(&Packing::Gzip.pack(&tar)))).unwrap();
    assert!(matches!(fixture.refusal(), ImportError::Missing { .. }));
}

#[test]
fn a_document_over_the_limit_is_not_read() {
    let fixture = Fixture::with_layers(&[(&tar(), Packing::Gzip)]);
    let huge = json!({"mediaType": MANIFEST, "digest": sha256(b""), "size": 5 << 20});
    fixture.index(&[huge]);
    assert!(matches!(fixture.refusal(), ImportError::TooBig { limit: 4_194_304, .. }));
}
