//! Which image a reference means: tags, places, platforms, nested indexes, archives.

use std::{fs, path::Path, process::Command};

use sealstone_import::{ImportError, oci::Platform};
use serde_json::{Value, json};

use crate::kit::{Fixture, INDEX, MANIFEST, Packing, sha256, tar_of};

fn named(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    descriptor
}

fn on(mut descriptor: Value, architecture: &str, variant: Option<&str>) -> Value {
    descriptor["platform"] = json!({"os": "linux", "architecture": architecture, "variant": variant});
    descriptor
}

/// An image with one file, and its layer's diff_id.
fn image(fixture: &Fixture, content: &str) -> (Value, String) {
    let tar = tar_of(&[("which", content.as_bytes())]);
    (fixture.image(&[(&tar, Packing::Gzip)]), sha256(&tar))
}

fn chosen(fixture: &Fixture, suffix: &str) -> Result<String, ImportError> {
    let report = fixture.import_from(&format!("oci:{}{suffix}", fixture.layout().display()))?;
    Ok(report.layers[0].diff_id.to_string())
}

#[test]
fn a_tag_or_a_place_chooses_and_nothing_chooses_only_what_is_alone() {
    let fixture = Fixture::new();
    let ((a, a_id), (b, b_id)) = (image(&fixture, "a"), image(&fixture, "b"));
    fixture.index(&[named(a, "quay.io/x:1"), named(b, "v2")]);
    assert_eq!(chosen(&fixture, ":quay.io/x:1").unwrap(), a_id);
    assert_eq!(chosen(&fixture, ":v2").unwrap(), b_id);
    assert_eq!(chosen(&fixture, ":@1").unwrap(), b_id);
    assert!(matches!(chosen(&fixture, ":@2"), Err(ImportError::Missing { .. })));
    let Err(ImportError::Missing { what, .. }) = chosen(&fixture, ":v3") else { panic!() };
    assert!(what.contains("v2"), "it says what there is: {what}");
    let Err(ImportError::Ambiguous { choices, .. }) = chosen(&fixture, "") else { panic!() };
    assert_eq!(choices, ["quay.io/x:1", "v2"]);
}

#[test]
fn the_platform_chooses_in_a_nested_index_and_attestations_are_passed_over() {
    let mut fixture = Fixture::new();
    let ((arm, arm_id), (amd, amd_id), (odd, _)) =
        (image(&fixture, "arm"), image(&fixture, "amd"), image(&fixture, "attestation"));
    let mut odd = on(odd, "unknown", None);
    odd["platform"]["os"] = json!("unknown");
    let manifests = json!([odd, on(arm, "arm", Some("v6")), on(amd, "amd64", None)]);
    let inner = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let inner = fixture.blob(INDEX, inner.to_string().as_bytes());
    let outer = json!({"schemaVersion": 2, "manifests": [inner]});
    fixture.index(&[named(fixture.blob(INDEX, outer.to_string().as_bytes()), "latest")]);
    fixture.options.platform = "linux/arm/v7".parse().unwrap();
    assert_eq!(chosen(&fixture, "").unwrap(), arm_id);
    fixture.options.platform = "linux/x86_64".parse().unwrap();
    assert_eq!(chosen(&fixture, ":latest").unwrap(), amd_id);
    fixture.options.platform = "linux/riscv64".parse().unwrap();
    let Err(ImportError::NoPlatform { offered, .. }) = chosen(&fixture, "") else { panic!() };
    assert_eq!(offered, ["linux/arm/v6", "linux/amd64"]);
}

#[test]
fn indexes_nest_four_deep_and_no_deeper() {
    let fixture = Fixture::new();
    let (mut descriptor, id) = image(&fixture, "deep");
    for depth in 1..=5 {
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        descriptor = fixture.blob(INDEX, index.to_string().as_bytes());
        fixture.index(&[descriptor.clone()]);
        if depth <= 4 {
            assert_eq!(chosen(&fixture, "").unwrap(), id);
        } else {
            assert!(matches!(chosen(&fixture, ""), Err(ImportError::TooBig { limit: 4, .. })));
        }
    }
}

#[test]
fn a_configuration_for_another_platform_is_told() {
    let mut fixture = Fixture::new();
    let (image, _) = image(&fixture, "x");
    fixture.index(&[image]);
    fixture.options.platform = Platform::new("linux", "s390x", None);
    let report = fixture.import().unwrap();
    assert!(report.warnings[0].contains("linux/s390x"), "{:?}", report.warnings);
}

#[test]
fn a_manifest_that_is_also_an_index_is_refused() {
    let fixture = Fixture::new();
    let (image, _) = image(&fixture, "x");
    let path = fixture.blob_path(image["digest"].as_str().unwrap());
    let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    manifest["manifests"] = json!([]);
    fixture.index(&[fixture.blob(MANIFEST, manifest.to_string().as_bytes())]);
    assert!(matches!(fixture.refusal(), ImportError::Malformed { .. }));
}

#[test]
fn artifacts_encrypted_layers_and_unknown_layers_are_refused_by_their_kind() {
    for (field, media_type) in [
        ("config", "application/vnd.oci.empty.v1+json"),
        ("layer", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
        ("layer", "application/vnd.example.thing"),
    ] {
        let fixture = Fixture::new();
        let tar = tar_of(&[("x", b"x")]);
        let mut layer = fixture.layer(&tar, Packing::Gzip);
        if field == "layer" {
            layer["mediaType"] = json!(media_type);
        }
        let described = fixture.manifest(&[layer], &[sha256(&tar)]);
        let path = fixture.blob_path(described["digest"].as_str().unwrap());
        let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        if field == "config" {
            manifest["config"]["mediaType"] = json!(media_type);
        }
        fixture.index(&[fixture.blob(MANIFEST, manifest.to_string().as_bytes())]);
        assert!(matches!(fixture.refusal(), ImportError::Unsupported { .. }), "{media_type}");
    }
}

#[test]
fn a_folder_that_is_no_layout_says_so() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.layout().join("oci-layout")).unwrap();
    assert!(matches!(fixture.import(), Err(ImportError::Missing { .. })));
    fs::write(fixture.layout().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(fixture.import(), Err(ImportError::Unsupported { .. })));
    fs::write(fixture.layout().join("oci-layout"), "{").unwrap();
    assert!(matches!(fixture.import(), Err(ImportError::Malformed { .. })));
}

/// Packs the layout by GNU tar, as `skopeo copy … oci-archive:` and `umoci` users do.
fn pack(fixture: &Fixture, file: &Path, flags: &[&str]) {
    let status = Command::new("tar")
        .args(flags)
        .arg("-cf")
        .arg(file)
        .arg("-C")
        .arg(fixture.layout())
        .args(["oci-layout", "index.json", "blobs"])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn an_archive_is_the_layout_that_was_packed() {
    for format in ["--format=gnu", "--format=pax", "--format=ustar"] {
        let fixture = Fixture::new();
        let (image, id) = image(&fixture, "x");
        fixture.index(&[named(image, "v1")]);
        let file = fixture.folder.path().join("image.tar");
        pack(&fixture, &file, &[format]);
        for suffix in ["", ":v1", ":@0"] {
            let report = fixture.import_from(&format!("oci-archive:{}{suffix}", file.display())).unwrap();
            assert_eq!(report.layers[0].diff_id.to_string(), id);
        }
        let link = fixture.folder.path().join("link.tar");
        std::os::unix::fs::symlink("image.tar", &link).unwrap();
        assert!(fixture.import_from(&format!("oci-archive:{}", link.display())).is_ok());
    }
}

#[test]
fn a_compressed_a_cut_and_a_doubled_archive_are_refused() {
    let fixture = Fixture::new();
    let (image, _) = image(&fixture, "x");
    fixture.index(&[image]);
    let file = fixture.folder.path().join("image.tar");
    let import = || fixture.import_from(&format!("oci-archive:{}", file.display()));
    pack(&fixture, &file, &["-z"]);
    assert!(matches!(import(), Err(ImportError::Unsupported { .. })));
    pack(&fixture, &file, &[]);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..3000]).unwrap();
    assert!(matches!(import(), Err(ImportError::Malformed { .. } | ImportError::Missing { .. })));
    // The blocks of zeros at the end cut off, and everything once more.
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(512);
    fs::write(&file, [&whole[..end], &whole[..]].concat()).unwrap();
    let Err(ImportError::Malformed { reason, .. }) = import() else { panic!() };
    assert!(reason.contains("twice"), "{reason}");
}
