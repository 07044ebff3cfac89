//! Layers that are read without a store give the trees of an import, and are held against the same digests.

use std::{fs, os::unix::fs::FileExt, process::Command};

use sealstone_import::{ImportError, MeasuredImage, import_layers, measure_layers, source};
use sealstone_store::{Algorithm, verity};

use crate::kit::{Fixture, Packing, edit, noise, tar_of};

fn measure(fixture: &Fixture, keep: &dyn Fn(&[u8]) -> bool) -> Result<MeasuredImage, ImportError> {
    let reference = format!("oci:{}", fixture.layout().display()).parse().unwrap();
    let source = source::open(&fixture.disk, &reference, &fixture.options.limits).unwrap();
    measure_layers(&*source, fixture.algorithm, keep, &fixture.options, &fixture.control)
}

/// The records of an image's layers, as an import makes them.
fn imported(fixture: &Fixture) -> Vec<Vec<u8>> {
    let reference = format!("oci:{}", fixture.layout().display()).parse().unwrap();
    let source = source::open(&fixture.disk, &reference, &fixture.options.limits).unwrap();
    let repository = fixture.repository();
    let transaction = repository.transaction().unwrap();
    let imported = import_layers(&transaction, &*source, &fixture.options, &fixture.control).unwrap();
    imported.layers().unwrap().into_iter().map(sealstone_import::layer_tree::LayerTree::encode).collect()
}

fn assert_same(fixture: &Fixture) {
    let measured = measure(fixture, &|_| false).unwrap();
    assert!(!fixture.folder.path().join("repo").exists(), "nothing is written");
    let measured: Vec<_> =
        measured.layers().into_iter().map(sealstone_import::layer_tree::LayerTree::encode).collect();
    assert!(measured == imported(fixture));
    fs::remove_dir_all(fixture.folder.path().join("repo")).unwrap();
}

#[test]
fn measured_layers_are_the_trees_of_an_import_in_both_hashes() {
    let bodies: Vec<_> =
        [0, 1, 64, 65, 4096, 262_143, 262_144, 900_000].iter().map(|len| noise(*len, *len as u64)).collect();
    let names: Vec<_> = (0..bodies.len()).map(|n| format!("f{n}")).collect();
    let files: Vec<_> = names.iter().map(String::as_str).zip(bodies.iter().map(Vec::as_slice)).collect();
    let (lower, upper) = (tar_of(&files), tar_of(&[("f1", b"new"), (".wh.f2", b"")]));
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for packing in Packing::ALL {
            // The same layer twice counts twice.
            let mut fixture =
                Fixture::with_layers(&[(&lower, packing), (&upper, Packing::Gzip), (&lower, packing)]);
            fixture.algorithm = algorithm;
            assert_same(&fixture);
        }
    }
}

#[test]
fn sparse_files_are_measured_with_their_holes() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("sparse/usr");
    fs::create_dir_all(&folder).unwrap();
    for (n, (hole, data)) in [(1 << 20, 7), (800_000, 700_000), (50, 3), (300_000, 0)].into_iter().enumerate()
    {
        let file = fs::File::create(folder.join(format!("s{n}"))).unwrap();
        file.write_all_at(&noise(data, n as u64), hole as u64).unwrap();
        file.set_len((hole + data + 10_000 * (n % 2)) as u64).unwrap();
    }
    for kind in [["--format=gnu", "--sparse"], ["--format=pax", "--sparse-version=1.0"]] {
        let output = Command::new("tar")
            .args(kind)
            .args(["--sparse", "--hole-detection=raw", "-cf", "-", "-C"])
            .arg(folder.parent().unwrap())
            .arg("usr")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fixture.index(&[fixture.image(&[(&output.stdout, Packing::Zstd)])]);
        assert_same(&fixture);
    }
}

#[test]
fn files_that_are_chosen_are_kept_whole_and_no_others() {
    let body = noise(500_000, 3);
    let tar = tar_of(&[("kept", &body), ("other", &noise(500_000, 4)), ("kept-small", b"small")]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
    let measured = measure(&fixture, &|path| path.starts_with(b"usr/kept")).unwrap();
    // A small file is in the tree.
    assert_eq!(measured.kept.len(), 1);
    assert_eq!(measured.kept.get(&verity::digest(Algorithm::Sha256, &body)), Some(&body));
}

#[test]
fn a_blob_and_a_tar_that_are_not_what_the_image_says_are_refused() {
    let tar = tar_of(&[("a", &noise(100_000, 1))]);
    let fixture = Fixture::with_layers(&[(&tar, Packing::Plain)]);
    edit(&fixture.blob_path(&crate::kit::sha256(&tar)), |bytes| bytes[5000] ^= 1);
    assert!(matches!(measure(&fixture, &|_| false), Err(ImportError::Digest { .. })));

    let fixture = Fixture::new();
    let layer = fixture.layer(&tar, Packing::Gzip);
    let other = crate::kit::sha256(&tar_of(&[("b", b"")]));
    fixture.index(&[fixture.manifest(&[layer], &[other])]);
    let error = measure(&fixture, &|_| false).unwrap_err();
    assert!(matches!(error, ImportError::Digest { .. }), "{error}");
    assert!(error.to_string().contains("the tar in"), "{error}");
}
