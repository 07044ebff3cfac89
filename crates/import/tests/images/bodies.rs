//! Every body becomes the object of its digest, wherever the chunks of the pipeline cut it, however little memory
//! there is; and the tar comes back byte for byte.

use std::{fs, process::Command};

use proptest::{collection::vec, prelude::*};
use sealstone_import::{ImportOptions, import_layers, layer_tree::LayerEntry, source};
use sealstone_store::{Algorithm, Control, ObjectId, tree::Content, verity};

use crate::kit::{Fixture, Packing, bodies_of, noise, sha256, tar_of};

/// The size of the pipeline's chunks.
const CHUNK: usize = 256 << 10;

/// All regular files of the first layer's tree: path, and content read out of the store.
fn files_of(fixture: &Fixture) -> Vec<(String, Vec<u8>)> {
    let reference = format!("oci:{}", fixture.layout().display()).parse().unwrap();
    let source = source::open(&fixture.disk, &reference, &fixture.options.limits).unwrap();
    let repository = fixture.repository();
    let transaction = repository.transaction().unwrap();
    let imported = import_layers(&transaction, &*source, &fixture.options, &fixture.control).unwrap();
    let mut files = Vec::new();
    let mut stack = vec![(String::new(), imported.layers().unwrap()[0].root())];
    while let Some((path, entry)) = stack.pop() {
        for child in entry.children() {
            let path = format!("{path}/{}", String::from_utf8_lossy(child.name()));
            if let Some(content) = content_of(&child) {
                let bytes = match content {
                    Held::Here(bytes) => bytes,
                    Held::There(id, size) => {
                        let bytes = repository.read_object(&id, u64::MAX).unwrap();
                        assert_eq!(bytes.len() as u64, size);
                        assert!(size > 64, "a small file has no object");
                        bytes
                    }
                };
                files.push((path.trim_start_matches('/').to_owned(), bytes));
            }
            stack.push((path, child));
        }
    }
    files.sort();
    files
}

enum Held {
    Here(Vec<u8>),
    There(ObjectId, u64),
}

fn content_of(entry: &LayerEntry<'_>) -> Option<Held> {
    match entry.inode()?.content() {
        Content::Inline(bytes) => Some(Held::Here(bytes.to_vec())),
        Content::External { object, size } => Some(Held::There(object, size)),
        _ => None,
    }
}

fn assert_whole(fixture: &Fixture, tar: &[u8]) {
    fixture.import().unwrap();
    fixture.assert_has(&[tar]);
    let mut expected: Vec<_> =
        bodies_of(tar).into_iter().map(|(path, body)| (path.to_str().unwrap().to_owned(), body)).collect();
    expected.sort();
    assert!(files_of(fixture) == expected, "a file has another content");
}

#[test]
fn sizes_around_every_border_and_every_memory_budget() {
    let sizes = [
        0,
        1,
        63,
        64,
        65,
        511,
        512,
        513,
        4095,
        4096,
        4097,
        CHUNK - 513,
        CHUNK - 512,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        5 * CHUNK + 17,
        40 * CHUNK + 3,
    ];
    let bodies: Vec<_> = sizes.iter().enumerate().map(|(n, len)| noise(*len, n as u64)).collect();
    let names: Vec<_> = (0..sizes.len()).map(|n| format!("f{n:03}")).collect();
    let files: Vec<_> = names.iter().map(String::as_str).zip(bodies.iter().map(Vec::as_slice)).collect();
    let tar = tar_of(&files);
    for (algorithm, budget, threads) in
        [(Algorithm::Sha256, 0, 1), (Algorithm::Sha256, 32 << 20, 2), (Algorithm::Sha512, 8 << 20, 5)]
    {
        for packing in Packing::ALL {
            let mut fixture = Fixture::with_layers(&[(&tar, packing)]);
            fixture.algorithm = algorithm;
            fixture.control = Control::new().with_threads(threads).with_memory_budget(budget);
            assert_whole(&fixture, &tar);
        }
    }
}

#[test]
fn many_layers_share_a_small_budget_without_waiting_for_each_other_forever() {
    let tars: Vec<_> =
        (0..12).map(|n| tar_of(&[("f", &noise(3 << 20, n)), ("g", &noise(9000, n))])).collect();
    let layers: Vec<_> = tars.iter().map(|tar| (tar.as_slice(), Packing::Gzip)).collect();
    let mut fixture = Fixture::with_layers(&layers);
    fixture.control = Control::new().with_threads(8).with_memory_budget(0);
    fixture.import().unwrap();
    fixture.assert_has(&tars.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn an_object_is_named_by_the_digest_of_its_content() {
    let body = noise(CHUNK + 99, 7);
    let tar = tar_of(&[("f", &body)]);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut fixture = Fixture::with_layers(&[(&tar, Packing::Gzip)]);
        fixture.algorithm = algorithm;
        fixture.import().unwrap();
        assert!(fixture.repository().has_object(&verity::digest(algorithm, &body)).unwrap());
    }
}

#[test]
fn sparse_files_are_expanded_and_their_tars_come_back() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("sparse/usr");
    fs::create_dir_all(&folder).unwrap();
    let expected: Vec<(String, Vec<u8>)> = [(1 << 20, 7), (3 * CHUNK, 700_000), (50, 3), (300_000, 0)]
        .into_iter()
        .enumerate()
        .map(|(n, (hole, data))| {
            let name = format!("s{n}");
            let file = fs::File::create(folder.join(&name)).unwrap();
            let data = noise(data, n as u64);
            std::os::unix::fs::FileExt::write_all_at(&file, &data, hole as u64).unwrap();
            file.set_len((hole + data.len() + 10_000 * (n % 2)) as u64).unwrap();
            (format!("usr/{name}"), fs::read(folder.join(name)).unwrap())
        })
        .collect();
    for version in ["0.0", "0.1", "1.0", "gnu"] {
        let kind = match version {
            "gnu" => vec!["--format=gnu".to_owned()],
            other => vec!["--format=pax".to_owned(), format!("--sparse-version={other}")],
        };
        let output = Command::new("tar")
            .args(kind)
            .args(["--sparse", "--hole-detection=raw", "-cf", "-", "-C"])
            .arg(folder.parent().unwrap())
            .arg("usr")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tar = output.stdout;
        fixture.index(&[fixture.image(&[(&tar, Packing::Gzip)])]);
        fixture.import().unwrap();
        fixture.assert_has(&[&tar]);
        assert!(files_of(&fixture) == expected, "{version}");
        // The record's loss takes nothing: it is made again from the packed bodies.
        fs::remove_dir_all(fixture.folder.path().join("repo/sealstone/layers")).unwrap();
        assert!(files_of(&fixture) == expected, "{version}, rebuilt");
        assert_ne!(sha256(&tar), sha256(b""));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes_in_any_order_come_back(
        sizes in vec(prop_oneof![0..200_usize, 400..1100_usize, 200_000..300_000_usize, 0..2_000_000_usize], 0..12),
        budget in prop_oneof![Just(0), Just(32 << 20)],
        packing in prop_oneof![Just(Packing::Plain), Just(Packing::Gzip), Just(Packing::Zstd)],
    ) {
        let bodies: Vec<_> = sizes.iter().enumerate().map(|(n, len)| noise(*len, n as u64)).collect();
        let names: Vec<_> = (0..sizes.len()).map(|n| format!("f{n:03}")).collect();
        let files: Vec<_> = names.iter().map(String::as_str).zip(bodies.iter().map(Vec::as_slice)).collect();
        let tar = tar_of(&files);
        let mut fixture = Fixture::with_layers(&[(&tar, packing)]);
        fixture.options = ImportOptions::default();
        fixture.control = Control::new().with_threads(2).with_memory_budget(budget);
        assert_whole(&fixture, &tar);
    }
}
