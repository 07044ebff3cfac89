//! The stored form of a layer's tree.

use std::sync::LazyLock;

use proptest::prelude::*;
use sealstone_import::Limits;
use sealstone_import::layer_tree::{FileContent, LayerTree, LayerTreeBuilder, RecordError};
use sealstone_import::tar::{Item, Reader, Strictness};
use sealstone_store::Algorithm;
use twox_hash::XxHash3_128;

use crate::chunking::sample;
use crate::kit::{Header, Tar, build, lines};

static EVERYTHING: LazyLock<LayerTree> = LazyLock::new(|| {
    let tar = Tar::new()
        .file("nope/.wh.x", b"")
        .file("opaque/.wh..wh..opq", b"")
        .dir("opaque")
        .hardlink("link", "lower/file")
        .entry(Header::new(b'3', "null").device(1, 3), b"")
        .entry(Header::new(b'6', "pipe"), b"")
        .raw(&sample())
        .0;
    // The sample's end is this tar's.
    build(&tar, Strictness::Normal).unwrap().0
});

fn decode(bytes: &[u8]) -> Result<LayerTree, RecordError> {
    LayerTree::decode(bytes, &Limits::default())
}

/// Writes a right checksum, so that damage gets past it.
fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - 16;
    let checksum = XxHash3_128::oneshot(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&checksum);
}

#[test]
fn a_decoded_tree_is_the_encoded_one() {
    let tree = &*EVERYTHING;
    let bytes = tree.encode();
    assert_eq!(bytes.len(), tree.encoded_len());
    let decoded = decode(&bytes).unwrap();
    assert!(decoded == *tree);
    assert_eq!(lines(&decoded), lines(tree));
    assert!(decoded.encode() == bytes);
}

#[test]
fn trees_of_both_algorithms_are_encoded() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let tar = Tar::new().file("a", &[1; 100]).file("b", &[2; 100]).end();
        let (limits, mut input) = (Limits::default(), &tar[..]);
        let mut reader = Reader::new(limits.clone(), Strictness::Normal);
        let mut builder = LayerTreeBuilder::new(algorithm, limits, Strictness::Normal);
        let mut ids = Vec::new();
        while reader.next(&mut input).unwrap().item == Item::Entry {
            let slot = builder.add(reader.entry()).unwrap().unwrap();
            let body = reader.take_body(&mut input).unwrap();
            let id = sealstone_store::verity::digest(algorithm, body);
            ids.push(id);
            builder.set_content(slot, FileContent::Object { id, size: 100 }).unwrap();
        }
        let tree = decode(&builder.finish().unwrap().0.encode()).unwrap();
        assert_eq!((tree.algorithm(), tree.objects().collect::<Vec<_>>()), (algorithm, ids));
    }
}

#[test]
fn the_order_of_entries_does_not_change_the_encoding() {
    let forward = Tar::new().dir("a").file("a/b", b"1").file("c", b"2").file("a/.wh.x", b"").end();
    let backward = Tar::new().file("a/.wh.x", b"").file("c", b"2").file("a/b", b"1").dir("a").end();
    let encode = |tar: &[u8]| build(tar, Strictness::Normal).unwrap().0.encode();
    assert!(encode(&forward) == encode(&backward));
}

#[test]
fn subtrees_are_skipped_without_a_look_at_them() {
    let tree = &*EVERYTHING;
    let children: Vec<_> = tree.root().children().collect();
    let names: Vec<_> = children.iter().map(|entry| entry.name()).collect();
    assert!(names.is_sorted());
    let total: usize = children.iter().map(|entry| 1 + entry.descendants()).sum();
    assert_eq!(total + 1, tree.len());
}

#[test]
fn a_file_without_content_fails_the_layer() {
    let tar = Tar::new().file("a", b"x").end();
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, Limits::default(), Strictness::Normal);
    reader.next(&mut &tar[..]).unwrap();
    let slot = builder.add(reader.entry()).unwrap().unwrap();
    let of_sha512 = sealstone_store::verity::digest(Algorithm::Sha512, b"x");
    assert!(builder.set_content(slot, FileContent::Object { id: of_sha512, size: 1 }).is_err());
    assert!(builder.finish().is_err());
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let mut bytes = EVERYTHING.encode();
    bytes[8] = 1;
    seal(&mut bytes);
    assert_eq!(decode(&bytes).unwrap_err(), RecordError::Version(1));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = EVERYTHING.encode();
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = EVERYTHING.encode();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(decode(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn larger_records_than_the_bound_are_refused() {
    let bytes = EVERYTHING.encode();
    let mut limits = Limits::default();
    limits.tree_record_bytes = bytes.len() - 1;
    assert!(matches!(LayerTree::decode(&bytes, &limits), Err(RecordError::TooBig { what: "bytes", .. })));
    let mut limits = Limits::default();
    limits.entries = 3;
    assert!(matches!(LayerTree::decode(&bytes, &limits), Err(RecordError::TooBig { what: "entries", .. })));
}

#[test]
fn an_entry_takes_at_most_200_bytes_while_the_tree_is_built() {
    // As the corpus "os": 58,000 entries, each a file with an object of its own.
    let limits = Limits::default();
    let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, limits.clone(), Strictness::Normal);
    let id = sealstone_store::verity::digest(Algorithm::Sha256, b"x");
    let mut reader = Reader::new(limits, Strictness::Normal);
    let entries = 58_000;
    for index in 0..entries {
        let tar = Tar::new().file(format!("usr/share/package-{}/file-{index}.txt", index / 12), b"").0;
        assert_eq!(reader.next(&mut &tar[..]).unwrap().item, Item::Entry);
        let slot = builder.add(reader.entry()).unwrap().unwrap();
        builder.set_content(slot, FileContent::Object { id, size: 100 }).unwrap();
    }
    assert!(builder.memory() / entries <= 200, "{} bytes an entry", builder.memory() / entries);
    let tree = builder.finish().unwrap().0;
    assert!(tree.encoded_len() / entries <= 120, "{} bytes an entry", tree.encoded_len() / entries);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damage_behind_a_right_checksum_is_refused_or_a_tree(
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = EVERYTHING.encode();
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        seal(&mut bytes);
        if let Ok(tree) = decode(&bytes) {
            lines(&tree);
            prop_assert!(tree.encode() == bytes);
        }
    }
}
