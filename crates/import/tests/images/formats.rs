//! Every form of a layer that is taken: compression told by bytes, many members and frames, digests, Docker's types.

use std::{fs, io::Write, process::Command};

use sealstone_import::{Digest, DigestAlgorithm, ImportError};
use serde_json::json;

use crate::kit::{CONFIG, Fixture, LAYER, MANIFEST, Packing, noise, sha256, tar_of};

fn tar() -> Vec<u8> {
    tar_of(&[("a", &noise(700_000, 3)), ("b", b"small"), ("empty", b"")])
}

fn with_blob(media_type: &str, blob: &[u8], tar: &[u8]) -> Fixture {
    let fixture = Fixture::new();
    let layer = fixture.blob(media_type, blob);
    fixture.index(&[fixture.manifest(&[layer], &[sha256(tar)])]);
    fixture
}

#[test]
fn the_bytes_tell_the_compression_whatever_the_media_type_says() {
    let tar = tar();
    for packing in Packing::ALL {
        for claimed in Packing::ALL {
            let fixture = with_blob(&claimed.media_type(), &packing.pack(&tar), &tar);
            let report = fixture.import().unwrap();
            let warned = !report.layers[0].findings.list().is_empty();
            assert_eq!(
                warned,
                packing != claimed,
                "{packing:?} {claimed:?}: {:?}",
                report.layers[0].findings.list()
            );
            fixture.assert_has(&[&tar]);
        }
    }
}

#[test]
fn many_members_many_frames_and_what_lies_between_them() {
    let tar = tar();
    let (head, tail) = tar.split_at(300_001);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let gzip = [Packing::Gzip.pack(head), Packing::Gzip.pack(tail), vec![0; 4096]].concat();
    let zstd = [&Packing::Zstd.pack(head)[..], &skippable, &Packing::Zstd.pack(tail), &skippable].concat();
    for blob in [gzip, zstd] {
        let fixture = with_blob(LAYER, &blob, &tar);
        fixture.import().unwrap();
        fixture.assert_has(&[&tar]);
    }
}

#[test]
fn wide_zstd_windows_are_decoded_and_too_wide_ones_refused() {
    let tar = tar_of(&[("a", &noise(100_000, 4))]);
    let pack = |log| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap()
    };
    let fixture = Fixture::new();
    let layers = [fixture.blob(LAYER, &pack(25)), fixture.blob(LAYER, &pack(26))];
    let other = tar_of(&[("b", &noise(100_000, 5))]);
    let third = fixture.layer(&other, Packing::Zstd);
    let manifest = fixture.manifest(&[&layers[..1], &[third]].concat(), &[sha256(&tar), sha256(&other)]);
    fixture.index(&[manifest]);
    fixture.import().unwrap();
    fixture.assert_has(&[&tar, &other]);
    let fixture = with_blob(LAYER, &pack(28), &tar);
    assert!(matches!(fixture.refusal(), ImportError::Decode { .. }));
}

#[test]
fn sha512_names_blobs_manifests_and_tars_as_well() {
    for packing in Packing::ALL {
        let tar = tar();
        let fixture = Fixture::new();
        let by = DigestAlgorithm::Sha512;
        let layer = fixture.blob_by(by, &packing.media_type(), &packing.pack(&tar));
        let diff_id = Digest::of(by, &tar).to_string();
        let config = json!({"rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let config = fixture.blob_by(by, CONFIG, config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        fixture.index(&[fixture.blob_by(by, MANIFEST, manifest.to_string().as_bytes())]);
        fixture.import().unwrap();
        assert!(fixture.stored_tar(&diff_id) == tar);
    }
}

#[test]
fn a_sha512_blob_may_hold_a_sha256_tar_and_the_other_way_round() {
    let tar = tar();
    for (blob, of_tar) in [
        (DigestAlgorithm::Sha512, DigestAlgorithm::Sha256),
        (DigestAlgorithm::Sha256, DigestAlgorithm::Sha512),
    ] {
        let fixture = Fixture::new();
        let layer = fixture.blob_by(blob, LAYER, &tar);
        let diff_id = Digest::of(of_tar, &tar).to_string();
        fixture.index(&[fixture.manifest(&[layer], std::slice::from_ref(&diff_id))]);
        fixture.import().unwrap();
        assert!(fixture.stored_tar(&diff_id) == tar);
    }
}

#[test]
fn docker_types_are_taken_and_their_bytes_kept() {
    let tar = tar();
    let fixture = Fixture::new();
    let layer = fixture.blob("application/vnd.docker.image.rootfs.diff.tar.gzip", &Packing::Gzip.pack(&tar));
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [sha256(&tar)]}}).to_string();
    let config = fixture.blob("application/vnd.docker.container.image.v1+json", config.as_bytes());
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    let manifest = serde_json::to_vec_pretty(&manifest).unwrap();
    fixture.index(&[fixture.blob(media_type, &manifest)]);
    fixture.import().unwrap();
    fixture.assert_has(&[&tar]);
    let repository = fixture.repository();
    let stream = sealstone_import::streams::manifest_stream(&sha256(&manifest).parse().unwrap()).unwrap();
    let mut kept = Vec::new();
    repository
        .cat_stream(&repository.stream(&stream).unwrap(), |bytes| {
            kept.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    assert_eq!(kept, manifest);
}

#[test]
fn an_image_without_layers_and_an_empty_layer_are_images() {
    let fixture = Fixture::with_layers(&[]);
    assert_eq!(fixture.import().unwrap().layers.len(), 0);
    for packing in Packing::ALL {
        for tar in [&[][..], &[0; 1024]] {
            let fixture = Fixture::with_layers(&[(tar, packing)]);
            fixture.import().unwrap();
            fixture.assert_has(&[tar]);
        }
    }
}

#[test]
fn a_bomb_is_stopped_at_its_limits() {
    let mut fixture = Fixture::with_layers(&[(&tar_of(&[("zeros", &vec![0; 8 << 20])]), Packing::Gzip)]);
    fixture.options.limits.layer_bytes = 4 << 20;
    assert!(matches!(fixture.refusal(), ImportError::Decode { .. }));
    fixture.options.limits.layer_bytes = 64 << 20;
    (fixture.options.limits.layer_ratio, fixture.options.limits.layer_ratio_after) = (50, 1 << 20);
    assert!(matches!(fixture.refusal(), ImportError::Decode { .. }));
    fixture.options.limits.layer_ratio = 1100;
    fixture.import().unwrap();
}

/// A layout made by Debian's tools from nothing of ours.
#[test]
fn a_layout_that_umoci_made_comes_in_whole() {
    let fixture = Fixture::new();
    let layout = fixture.folder.path().join("umoci");
    let run = |arguments: &[&str]| {
        Command::new("umoci").args(arguments).current_dir(fixture.folder.path()).output()
    };
    if run(&["--version"]).is_err() {
        println!("umoci is not installed: skipped");
        return;
    }
    let tar = tar();
    fs::write(fixture.folder.path().join("layer.tar"), &tar).unwrap();
    for arguments in [
        &["init", "--layout", "umoci"][..],
        &["new", "--image", "umoci:v1"],
        &["raw", "add-layer", "--image", "umoci:v1", "layer.tar"],
    ] {
        let output = run(arguments).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    fixture.import_from(&format!("oci:{}:v1", layout.display())).unwrap();
    fixture.assert_has(&[&tar]);
}
