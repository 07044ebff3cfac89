//! Images go out as they came in: documents and uncompressed blobs byte for byte, the rest with the same tars.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use sealstone_import::{
    ImportError, ManifestDigest,
    catalogue::Catalogue,
    export::{BlobFormat, BlobOrigin, ExportOptions, ExportReport, export},
};
use sealstone_store::{
    Control, Error as StoreError,
    disk::{Disk, FailingDisk},
};

use super::kit::{Fixture, Packing, noise, sha256, tar_of};

fn manifest(fixture: &Fixture) -> ManifestDigest {
    let catalogue = Catalogue::read(&fixture.repository()).unwrap();
    catalogue.images().iter().find(|image| image.name == "test").unwrap().manifest
}

fn export_by(
    fixture: &Fixture,
    disk: &Arc<dyn Disk>,
    target: &str,
    format: Option<BlobFormat>,
    control: &Control,
) -> Result<ExportReport, ImportError> {
    let mut options = ExportOptions::default();
    options.format = format;
    let target = target.replacen(':', &format!(":{}/", fixture.folder.path().display()), 1);
    export(&fixture.repository(), &manifest(fixture), disk, &target.parse().unwrap(), &options, control)
}

fn export_to(
    fixture: &Fixture,
    target: &str,
    format: Option<BlobFormat>,
) -> Result<ExportReport, ImportError> {
    export_by(fixture, &fixture.disk, target, format, &fixture.control)
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn origins(report: &ExportReport) -> Vec<BlobOrigin> {
    report.layers.iter().map(|layer| layer.origin).collect()
}

#[test]
fn an_image_of_plain_tars_goes_out_byte_for_byte() {
    let tars = [tar_of(&[("a", &noise(300_000, 1)), ("b", b"b")]), tar_of(&[("c", &noise(9_000, 2))])];
    let fixture = Fixture::with_layers(&[(&tars[0], Packing::Plain), (&tars[1], Packing::Plain)]);
    fixture.import().unwrap();
    let report = export_to(&fixture, "oci:out:v1", None).unwrap();
    assert!(report.is_same_manifest());
    assert_eq!(origins(&report), [BlobOrigin::Reproduced; 2]);
    let (came, went) = (files(&fixture.layout()), files(&fixture.folder.path().join("out")));
    let blobs = |files: &BTreeMap<String, Vec<u8>>| {
        files.clone().into_iter().filter(|(name, _)| name.starts_with("blobs/")).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(blobs(&came), blobs(&went));
    assert!(
        String::from_utf8_lossy(&went["index.json"]).contains(r#""org.opencontainers.image.ref.name":"v1""#)
    );
}

#[test]
fn compressed_layers_keep_configuration_and_tars_and_a_second_round_is_exact() {
    let tars = [tar_of(&[("a", &noise(600_000, 3))]), tar_of(&[("b", b"text text text")])];
    let layers = [(&tars[0][..], Packing::Gzip), (&tars[1][..], Packing::Zstd)];
    let fixture = Fixture::with_layers(&layers);
    let imported = fixture.import().unwrap();
    let report = export_to(&fixture, "oci:out:v1", None).unwrap();
    assert!(!report.is_same_manifest(), "other compressors made these blobs");
    assert_eq!(report.recompressed().count(), 2);
    let diff_ids: Vec<_> = report.layers.iter().map(|layer| layer.diff_id).collect();
    assert_eq!(diff_ids, imported.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>());
    let formats: Vec<_> = report.layers.iter().map(|layer| layer.format).collect();
    assert_eq!(formats, [BlobFormat::Gzip, BlobFormat::Zstd]);

    let mut second = Fixture::new();
    second.options.verify_existing = true;
    second.import_from(&format!("oci:{}/out", fixture.folder.path().display())).unwrap();
    second.assert_has(&[&tars[0], &tars[1]]);
    let again = export_to(&second, "oci:again:v1", None).unwrap();
    assert!(again.is_same_manifest(), "{again:?}");
    assert_eq!(again.config, report.config);
    assert_eq!(files(&fixture.folder.path().join("out")), files(&second.folder.path().join("again")));
}

#[test]
fn a_blob_that_the_layout_has_is_kept_and_so_is_the_manifest() {
    let tar = tar_of(&[("a", &noise(100_000, 4))]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    let before = files(&fixture.layout());
    let report = export_to(&fixture, "oci:layout:v1", None).unwrap();
    assert!(report.is_same_manifest());
    assert_eq!(origins(&report), [BlobOrigin::Present]);
    let mut after = files(&fixture.layout());
    assert!(String::from_utf8_lossy(&after["index.json"]).contains("v1"));
    after.insert("index.json".to_owned(), before["index.json"].clone());
    assert_eq!(before, after);

    // A damaged blob does not count, and is not left under its name.
    let blob = sha256(&Packing::Gzip.pack(&tar));
    let blob = fixture.blob_path(&blob);
    super::kit::edit(&blob, |bytes| bytes[50] ^= 1);
    let report = export_to(&fixture, "oci:layout:v1", None).unwrap();
    assert_eq!(origins(&report), [BlobOrigin::Recompressed]);
}

#[test]
fn two_exports_are_the_same_bytes_whatever_the_number_of_threads() {
    let tars: Vec<_> = (0..5).map(|seed| tar_of(&[("a", &noise(200_000, 10 + seed))])).collect();
    let layers: Vec<_> = tars.iter().map(|tar| (&tar[..], Packing::Gzip)).collect();
    let fixture = Fixture::with_layers(&layers);
    fixture.import().unwrap();
    for format in [None, Some(BlobFormat::Gzip), Some(BlobFormat::Zstd), Some(BlobFormat::Plain)] {
        let name = format.map_or("same", BlobFormat::name);
        let mut made = Vec::new();
        for threads in [1, 4] {
            let control = Control::new().with_threads(threads);
            let (layout, archive) =
                (format!("oci:{name}-{threads}"), format!("oci-archive:{name}-{threads}.tar:x"));
            export_by(&fixture, &fixture.disk, &layout, format, &control).unwrap();
            export_by(&fixture, &fixture.disk, &archive, format, &control).unwrap();
            let folder = fixture.folder.path();
            let archive = fs::read(folder.join(format!("{name}-{threads}.tar"))).unwrap();
            made.push((files(&folder.join(format!("{name}-{threads}"))), archive));
        }
        assert!(made[0] == made[1], "{name}");
        // The archive is a layout, and gives the image back.
        let back = Fixture::new();
        back.import_from(&format!("oci-archive:{}/{name}-4.tar:x", fixture.folder.path().display())).unwrap();
        back.assert_has(&tars.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn a_layer_that_an_image_has_twice_goes_out_once() {
    let tar = tar_of(&[("a", &noise(50_000, 6))]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip), (&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    let report = export_to(&fixture, "oci-archive:out.tar", Some(BlobFormat::Zstd)).unwrap();
    assert_eq!(report.layers.len(), 2);
    assert_eq!(report.layers[0], report.layers[1]);
    let archive = fs::read(fixture.folder.path().join("out.tar")).unwrap();
    let mut names: Vec<_> = super::kit::bodies_of(&archive).into_iter().map(|(path, _)| path).collect();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), count), (9 - 2, 9 - 2), "{names:?}");
}

#[test]
fn damage_in_the_store_is_told_and_nothing_goes_out() {
    let body = noise(300_000, 7);
    let tar = tar_of(&[("a", &body)]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Plain)]);
    fixture.import().unwrap();
    let (object, _) = fixture.objects().into_iter().find(|(_, size)| *size == 300_000).unwrap();
    super::kit::edit(&object, |bytes| bytes[1000] ^= 1);
    for target in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        let error = export_to(&fixture, target, None).unwrap_err();
        let ImportError::Store(StoreError::Corrupt { what, .. }) = &error else { panic!("{error:?}") };
        assert!(what.contains(&sha256(&tar)), "{what}");
    }
    assert!(!fixture.folder.path().join("out.tar").exists());
    let left = files(&fixture.folder.path().join("out"));
    assert_eq!(left.len(), 0, "{:?}", left.keys());
}

#[test]
fn a_disk_that_fails_at_any_call_leaves_the_old_layout_or_the_new_one() {
    let tar = tar_of(&[("a", &noise(3_000, 8))]);
    for target in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        let mut failures = 0;
        for number in 0.. {
            let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
            fixture.import().unwrap();
            export_to(&fixture, target, Some(BlobFormat::Zstd)).unwrap();
            let state = || {
                let mut files = files(fixture.folder.path());
                files.retain(|name, _| *name == "out/index.json" || name == "out.tar");
                files
            };
            let old = state();
            let disk =
                FailingDisk::new(fixture.disk.clone(), number, true, rustix::io::Errno::NOSPC, |_| true);
            let failing: Arc<dyn Disk> = disk.clone();
            let result = export_by(&fixture, &failing, target, None, &fixture.control);
            if !disk.has_failed() {
                assert!(result.is_ok() && state() != old, "{target}");
                break;
            }
            failures += 1;
            match result {
                Ok(_) => assert_ne!(state(), old, "{target} at {number}"),
                Err(error) => {
                    assert!(error.to_string().contains("no space"), "{target} at {number}: {error}");
                }
            }
            // Old or new, it is whole.
            let back = Fixture::new();
            back.import_from(&target.replacen(':', &format!(":{}/", fixture.folder.path().display()), 1))
                .unwrap();
            back.assert_has(&[&tar]);
        }
        assert!(failures > 10, "{target}: only {failures} failures");
    }
}

#[test]
fn what_is_no_place_for_an_image_is_refused_before_anything_is_written() {
    let fixture = Fixture::with_layers(&[(&tar_of(&[("a", b"a")]), Packing::Plain)]);
    fixture.import().unwrap();
    let folder = fixture.folder.path();
    fs::create_dir(folder.join("other")).unwrap();
    fs::write(folder.join("other/file"), b"mine").unwrap();
    for target in ["oci:other:v1", "oci-archive:other:v1", "oci:layout:@0", "oci-archive:missing/x.tar"] {
        let before = files(folder);
        assert!(export_to(&fixture, target, None).is_err(), "{target}");
        assert_eq!(before, files(folder), "{target}");
    }
    super::kit::edit(&fixture.layout().join("index.json"), |bytes| *bytes = b"{}".to_vec());
    assert!(matches!(export_to(&fixture, "oci:layout:v1", None), Err(ImportError::Malformed { .. })));
}

#[test]
fn a_cancelled_export_leaves_nothing_that_can_be_seen() {
    let fixture = Fixture::with_layers(&[(&tar_of(&[("a", &noise(100_000, 9))]), Packing::Gzip)]);
    fixture.import().unwrap();
    fixture.control.cancel_token().cancel();
    for target in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        assert!(matches!(export_to(&fixture, target, None), Err(ImportError::Cancelled)), "{target}");
    }
    assert!(!fixture.folder.path().join("out/index.json").exists());
    assert!(!fixture.folder.path().join("out.tar").exists());
}
