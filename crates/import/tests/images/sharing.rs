//! What is there is not written again, nor read; lost records come back; imports side by side agree.

use std::{collections::BTreeSet, fs, sync::Arc, thread};

use sealstone_import::{
    ImportError, ImportOptions, LayerOrigin, import_layers, source::StoredImage, tar::Strictness,
};
use sealstone_store::{
    ObjectId, Optional,
    disk::{Disk, RealDisk, Recorded, RecordingDisk},
};

use crate::kit::{Fixture, Packing, edit, noise, sha256, tar_of};

/// Files of all sizes: inline, in a chunk, across chunks, spilled.
fn files(seed: u64) -> Vec<(String, Vec<u8>)> {
    let sizes = [0, 64, 65, 5000, 100_000, 262_144, 700_000, 3_000_000];
    sizes.iter().enumerate().map(|(n, len)| (format!("f{n}"), noise(*len, seed + n as u64))).collect()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar_of(&files.iter().map(|(path, body)| (path.as_str(), body.as_slice())).collect::<Vec<_>>())
}

fn recorded(fixture: &mut Fixture) -> Arc<RecordingDisk> {
    let recording = RecordingDisk::new(RealDisk::shared());
    fixture.disk = Arc::clone(&recording) as Arc<dyn Disk>;
    recording
}

#[test]
fn a_second_import_reads_no_layer_and_writes_only_names() {
    let tar = tar(&files(1));
    let mut fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    let objects = fixture.objects();
    let recording = recorded(&mut fixture);
    let report = fixture.import().unwrap();
    assert_eq!(report.layers[0].origin, LayerOrigin::Present);
    assert_eq!(fixture.objects(), objects);
    let blob = sha256(&Packing::Gzip.pack(&tar)).replace("sha256:", "");
    assert!(recording.log().iter().all(|call| !call.path.ends_with(&blob)), "the blob was opened");
    assert_eq!(recording.count("LinkFile"), 0);
}

#[test]
fn an_update_writes_the_changed_objects_and_no_other() {
    let mut files = files(2);
    let old = tar(&files);
    let mut fixture = Fixture::with_layers(&[(&old, Packing::Gzip)]);
    // One chunk and a half may be kept: the biggest file does not have to be spilled.
    fixture.control = fixture.control.with_memory_budget(32 << 20);
    fixture.import().unwrap();
    let before = fixture.objects();
    files[4].1[77] ^= 1;
    let new = tar(&files);
    fixture.index(&[fixture.image(&[(&new, Packing::Gzip)])]);
    let recording = recorded(&mut fixture);
    let report = fixture.import().unwrap();
    assert_eq!((report.new_objects(), report.new_bytes()), (1, 100_000));
    assert_eq!(report.shared_objects(), 5);
    // The changed file, the layer's stream, the configuration, the manifest, and the streams of these two.
    let new_objects = fixture.objects().keys().filter(|path| !before.contains_key(*path)).count();
    assert_eq!(new_objects, 6);
    // As many files were given a name among the objects as are new, and no other body was so much as begun: what else is
    // made without a name are the layer's record and probes of the file system, which nothing is written to.
    let log = recording.log();
    let linked = |call: &&Recorded| call.name == "LinkFile" && call.path.iter().any(|part| part == "objects");
    assert_eq!(log.iter().filter(linked).count(), 6);
    let files: BTreeSet<_> = log.iter().filter(|call| call.name == "Write").map(|call| &call.path).collect();
    assert!(log.iter().filter(|call| call.name == "Write").count() <= 6 + 1, "{files:?}");
    fixture.assert_has(&[&new]);
}

#[test]
fn a_layer_that_an_image_has_twice_is_read_once() {
    let (twice, once) = (tar(&files(3)), tar_of(&[("x", b"between")]));
    let fixture =
        Fixture::with_layers(&[(&twice, Packing::Gzip), (&once, Packing::Gzip), (&twice, Packing::Zstd)]);
    let report = fixture.import().unwrap();
    assert_eq!(report.layers.len(), 2);
    fixture.assert_has(&[&twice, &once]);
    let source = sealstone_import::source::open(
        &fixture.disk,
        &format!("oci:{}", fixture.layout().display()).parse().unwrap(),
        &fixture.options.limits,
    )
    .unwrap();
    let transaction = fixture.repository().transaction().unwrap();
    let imported = import_layers(&transaction, &*source, &fixture.options, &fixture.control).unwrap();
    let layers = imported.layers().unwrap();
    assert_eq!(layers.len(), 3);
    assert!(std::ptr::eq(layers[0], layers[2]) && layers[0] != layers[1]);
}

#[test]
fn lost_and_damaged_records_are_made_anew_from_the_store_alone() {
    let tar = tar(&files(4));
    let fixture = Fixture::with_layers(&[(&tar, Packing::Zstd)]);
    fixture.import().unwrap();
    let objects = fixture.objects();
    let record = fixture.folder.path().join("repo/sealstone/layers").join(sha256(&tar));
    let good = fs::read(&record).unwrap();
    let blob = fixture.blob_path(&sha256(&Packing::Zstd.pack(&tar)));
    fs::remove_file(blob).unwrap();
    for damage in 0..4 {
        match damage {
            0 => fs::remove_file(&record).unwrap(),
            1 => edit(&record, |bytes| bytes[0] ^= 1),
            2 => edit(&record, |bytes| bytes.truncate(100)),
            _ => edit(&record, |bytes| *bytes.last_mut().unwrap() ^= 1),
        }
        let report = fixture.import().unwrap();
        assert_eq!(report.layers[0].origin, LayerOrigin::Rebuilt, "damage {damage}");
        assert_eq!(report.layers[0].new_objects, 0);
        assert_eq!(fs::read(&record).unwrap(), good);
        assert_eq!(fixture.objects(), objects);
    }
}

#[test]
fn an_image_of_the_store_opens_without_its_source() {
    let tar = tar(&files(5));
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture.layout().join("index.json")).unwrap()).unwrap();
    fs::remove_dir_all(fixture.layout()).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().parse().unwrap();
    let repository = fixture.repository();
    let open = || {
        let image = StoredImage::new(repository.clone(), manifest);
        import_layers(&repository.transaction().unwrap(), &image, &ImportOptions::default(), &fixture.control)
    };
    let tree = open().unwrap().layers().unwrap()[0].clone();
    fs::remove_dir_all(fixture.folder.path().join("repo/sealstone/layers")).unwrap();
    assert_eq!(open().unwrap().layers().unwrap()[0], &tree, "and without its record");
    let missing = StoredImage::new(repository.clone(), sha256(b"nothing").parse().unwrap());
    let transaction = repository.transaction().unwrap();
    let error = import_layers(&transaction, &missing, &fixture.options, &fixture.control).unwrap_err();
    assert!(matches!(error, ImportError::Missing { .. }));
}

#[test]
fn what_a_lenient_import_let_in_is_no_way_past_a_stricter_one() {
    let honest = tar_of(&[("a", b"1")]);
    let twice = tar_of(&[("a", b"1"), ("a", b"2")]);
    let mut upwards = tar_of(&[("up-a", b"1")]);
    let header = renamed_header(&upwards, b"usr/../a");
    upwards[..512].copy_from_slice(&header);
    for (tar, strictest) in
        [(honest, Strictness::Strict), (twice, Strictness::Normal), (upwards, Strictness::Lenient)]
    {
        let mut fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
        fixture.options.strictness = Strictness::Lenient;
        fixture.import().unwrap();
        for keeps_record in [true, false] {
            if !keeps_record {
                fs::remove_dir_all(fixture.folder.path().join("repo/sealstone/layers")).unwrap();
            }
            for asked in [Strictness::Strict, Strictness::Normal, Strictness::Lenient] {
                fixture.options.strictness = asked;
                let plan = fixture.plan().unwrap();
                // Without a record, nobody knows yet: the store's own copy is read first.
                assert_eq!(plan.layers[0].is_present, asked <= strictest || !keeps_record);
                let case = format!("{strictest:?} for {asked:?}, with a record: {keeps_record}");
                match fixture.import() {
                    Ok(report) => {
                        assert!(asked <= strictest, "accepted {case}");
                        assert_ne!(report.layers[0].origin, LayerOrigin::Imported, "read again {case}");
                    }
                    Err(ImportError::Refused { .. }) => assert!(asked > strictest, "refused {case}"),
                    Err(error) => panic!("{case}: {error}"),
                }
            }
        }
    }
}

/// The tar's first header with another path.
fn renamed_header(tar: &[u8], path: &[u8]) -> [u8; 512] {
    let mut header = tar::Header::from_byte_slice(&tar[..512]).clone();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_cksum();
    *header.as_bytes()
}

#[test]
fn a_layer_with_a_damaged_object_is_read_from_the_source_again() {
    let tar = tar(&files(6));
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    let (object, _) = fixture.objects().into_iter().find(|(_, size)| *size == 100_000).unwrap();
    // The record is lost as well: with it, the layer would be skipped.
    fs::remove_dir_all(fixture.folder.path().join("repo/sealstone/layers")).unwrap();
    edit(&object, |bytes| bytes.truncate(5));
    let report = fixture.import().unwrap();
    assert_eq!((report.layers[0].origin, report.layers[0].new_objects), (LayerOrigin::Imported, 1));
    fixture.assert_has(&[&tar]);
}

#[test]
fn verify_existing_heals_what_has_the_right_size() {
    let tar = tar(&files(7));
    let mut fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    fixture.import().unwrap();
    for size in [5000, 3_000_000] {
        let (object, _) = fixture.objects().into_iter().find(|(_, found)| *found == size).unwrap();
        edit(&object, |bytes| bytes[1000] ^= 1);
    }
    fixture.options.verify_existing = true;
    let report = fixture.import().unwrap();
    assert_eq!(report.layers[0].origin, LayerOrigin::Imported);
    assert_eq!(report.new_objects(), 2);
    fixture.assert_has(&[&tar]);
}

#[test]
fn two_imports_at_once_leave_what_one_leaves() {
    let (shared, a, b) =
        (tar(&files(8)), tar_of(&[("a", &noise(90_000, 1))]), tar_of(&[("b", &noise(90_000, 1))]));
    for _ in 0..5 {
        let fixture = Fixture::new();
        let images = [&a, &b].map(|own| fixture.image(&[(&shared, Packing::Gzip), (own, Packing::Zstd)]));
        fixture.index(&images);
        fixture.repository();
        thread::scope(|scope| {
            let import =
                |at: usize| fixture.import_from(&format!("oci:{}:@{at}", fixture.layout().display()));
            let threads = [0, 1, 0, 1].map(|at| scope.spawn(move || import(at)));
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        fixture.assert_has(&[&shared, &a, &b]);
    }
}

#[test]
fn images_that_others_made_of_an_image_keep_their_references() {
    let tar = tar_of(&[("x", b"x")]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    let source = || {
        let reference = format!("oci:{}", fixture.layout().display()).parse().unwrap();
        sealstone_import::source::open(&fixture.disk, &reference, &fixture.options.limits).unwrap()
    };
    let repository = fixture.repository();
    let image = |content: &[u8]| -> ObjectId {
        let transaction = repository.transaction().unwrap();
        let id = transaction.put(content).unwrap().id;
        transaction.commit(id).unwrap().into_inner()
    };
    let (plain, boot) = (image(b"an image"), image(b"an image for booting"));
    for (kind, id) in
        [(sealstone_import::ImageKind::Plain, plain), (sealstone_import::ImageKind::Bootable, boot)]
    {
        let transaction = repository.transaction().unwrap();
        let imported = import_layers(&transaction, &*source(), &fixture.options, &fixture.control).unwrap();
        imported.publish(&transaction, Some("x"), &[(kind, id)]).unwrap();
        let _ = transaction.commit(()).unwrap();
    }
    let transaction = repository.transaction().unwrap();
    let imported = import_layers(&transaction, &*source(), &fixture.options, &fixture.control).unwrap();
    assert_eq!(
        imported.linked_images(),
        [(sealstone_import::ImageKind::Plain, plain), (sealstone_import::ImageKind::Bootable, boot)]
    );
    let stream = sealstone_import::streams::manifest_stream(&imported.manifest_digest()).unwrap();
    assert!(repository.stream(&stream).optional().unwrap().is_some());
}
