//! Splitstreams: what is written reads back, and bytes from anybody give an error, never a panic.

use proptest::prelude::*;

use super::*;
use crate::{Algorithm, Error, InitOptions, Transaction, disk::RealDisk, verity};

fn repository(algorithm: Algorithm) -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let options = InitOptions { algorithm, ..InitOptions::default() };
    let repository = Repository::init(&RealDisk::shared(), folder.path().join("repo"), &options).unwrap().0;
    (folder, repository)
}

#[derive(Clone, Debug)]
enum Part {
    Inline(Vec<u8>),
    Object(Vec<u8>),
    Boundary,
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..2000);
    let part = prop_oneof![
        bytes().prop_map(Part::Inline),
        (0_u8..5).prop_map(|number| Part::Object(vec![number; 100])),
        Just(Part::Boundary),
    ];
    prop::collection::vec(part, 0..20)
}

fn write(transaction: &Transaction, parts: &[Part]) -> ObjectId {
    let mut writer = SplitStreamWriter::new(transaction, 7).unwrap();
    for part in parts {
        match part {
            Part::Inline(bytes) => writer.inline(bytes),
            Part::Object(content) => {
                let id = transaction.put(content).unwrap().id;
                writer.external(&id, content.len() as u64).unwrap();
            }
            Part::Boundary => writer.boundary().unwrap(),
        }
    }
    writer.finish().unwrap().id
}

fn read_to_end(file: &[u8], algorithm: Algorithm) -> Result<u64> {
    let mut reader = SplitStreamReader::new(file, algorithm)?;
    let mut inline = 0;
    while let Some(piece) = reader.next_piece()? {
        if let Piece::Inline(bytes) = piece {
            inline += bytes.len() as u64;
        }
    }
    Ok(inline)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_cut_up_comes_back_exactly(parts in parts(), wide in any::<bool>()) {
        let (_folder, repository) = repository(if wide { Algorithm::Sha512 } else { Algorithm::Sha256 });
        let transaction = repository.transaction().unwrap();
        let id = write(&transaction, &parts);
        let whole: Vec<u8> = parts
            .iter()
            .flat_map(|part| match part {
                Part::Inline(bytes) | Part::Object(bytes) => bytes.clone(),
                Part::Boundary => Vec::new(),
            })
            .collect();
        let mut found = Vec::new();
        let size = repository
            .cat_stream(&id, |piece| {
                found.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(size, whole.len() as u64);
        prop_assert_eq!(found, whole);
        let map = repository.map_object(&id).unwrap();
        let reader = SplitStreamReader::new(&map, repository.algorithm()).unwrap();
        prop_assert_eq!((reader.content_type(), reader.stream_size()), (7, size));
        let mut ids: Vec<_> = reader.object_refs().collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "each object is listed once");
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        parts in parts(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_folder, repository) = repository(Algorithm::Sha256);
        let transaction = repository.transaction().unwrap();
        let id = write(&transaction, &parts);
        let mut file = repository.read_object(&id, u64::MAX).unwrap();
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read_to_end(&file, Algorithm::Sha256);
        file.truncate(cut.index(file.len()));
        let _ = read_to_end(&file, Algorithm::Sha256);
    }
}

#[test]
fn references_by_name_and_without_bytes_are_kept() {
    let (_folder, repository) = repository(Algorithm::Sha256);
    let transaction = repository.transaction().unwrap();
    let [expanded, layer, config] =
        [b"expanded", b"layer---", b"config--"].map(|c| transaction.put(c).unwrap().id);
    let mut writer = SplitStreamWriter::new(&transaction, 1).unwrap();
    writer.reference(&expanded).unwrap();
    writer.external(&layer, 8).unwrap();
    writer.reference(&layer).unwrap();
    writer.named_reference("sha256:0a", &layer).unwrap();
    writer.named_reference("config:sha256:0b", &config).unwrap();
    writer.named_reference("again", &layer).unwrap();
    assert!(matches!(writer.named_reference("a\0b", &layer), Err(Error::Invalid { .. })));
    let map = repository.map_object(&writer.finish().unwrap().id).unwrap();
    let reader = SplitStreamReader::new(&map, Algorithm::Sha256).unwrap();
    assert_eq!(reader.object_refs().collect::<Vec<_>>(), [expanded, layer]);
    let named: Vec<_> = reader.named_refs().iter().map(|(name, id)| (name.as_str(), *id)).collect();
    assert_eq!(named, [("again", layer), ("config:sha256:0b", config), ("sha256:0a", layer)]);
    assert_eq!(reader.named_ref("config:sha256:0b"), Some(&config));
}

#[test]
fn a_big_stream_spills_to_disk_and_leaves_only_its_object() {
    let (folder, repository) = repository(Algorithm::Sha256);
    let transaction = repository.transaction().unwrap();
    let mut writer = SplitStreamWriter::new(&transaction, 1).unwrap();
    // Incompressible, from a digest chain.
    let mut block = verity::digest(Algorithm::Sha256, b"seed");
    let mut hasher = crate::verity::Hasher::new(Algorithm::Sha256);
    for number in 0..500_000 {
        block = verity::digest(Algorithm::Sha256, block.as_bytes());
        writer.inline(block.as_bytes());
        hasher.update(block.as_bytes());
        if number % 64 == 0 {
            writer.boundary().unwrap();
        }
    }
    let id = writer.finish().unwrap().id;
    let _ = transaction.commit(()).unwrap();
    let mut found = crate::verity::Hasher::new(Algorithm::Sha256);
    let size = repository
        .cat_stream(&id, |piece| {
            found.update(piece);
            Ok(())
        })
        .unwrap();
    assert_eq!(size, 16_000_000);
    assert_eq!(found.finish(), hasher.finish());
    assert_eq!(std::fs::read_dir(folder.path().join("repo/sealstone/tmp")).unwrap().count(), 0);
}

/// A splitstream whose stream section is this, decompressed.
fn forge(stream: &[u8], stream_size: u64, object_refs: &[u8]) -> Vec<u8> {
    let stream = zstd::stream::encode_all(stream, 3).unwrap();
    let named = zstd::stream::encode_all(&b""[..], 3).unwrap();
    let start = (header::HEADER_LEN + header::INFO_LEN) as u64;
    let refs_end = start + object_refs.len() as u64;
    let named_end = refs_end + named.len() as u64;
    let info = header::Info {
        stream_refs: start..start,
        object_refs: start..refs_end,
        named_refs: refs_end..named_end,
        stream: named_end..named_end + stream.len() as u64,
        content_type: 0,
        stream_size,
    };
    [&info.to_bytes(Algorithm::Sha256)[..], object_refs, &named, &stream].concat()
}

fn refusal(file: &[u8]) -> String {
    read_to_end(file, Algorithm::Sha256).unwrap_err().to_string()
}

#[test]
fn lies_are_refused_with_their_reason() {
    let inline = |len: i64, bytes: &[u8]| [&(-len).to_le_bytes()[..], bytes].concat();
    let good = forge(&inline(3, b"abc"), 3, &[]);
    assert_eq!(read_to_end(&good, Algorithm::Sha256).unwrap(), 3);
    assert!(refusal(b"SplitStream").contains("shorter than its header"));
    assert!(refusal(&[0; 200]).contains("does not begin as one"));
    assert!(read_to_end(&good, Algorithm::Sha512).unwrap_err().to_string().contains("another algorithm"));
    let mut newer = good.clone();
    newer[11] = 1;
    assert!(refusal(&newer).contains("unknown version 1"));
    assert!(refusal(&forge(&inline(4, b"abc"), 4, &[])).contains("ends within a chunk"));
    assert!(refusal(&forge(&[0; 5], 9, &[])).contains("within a chunk's head"));
    assert!(refusal(&forge(&1_i64.to_le_bytes(), 9, &[0; 32])).contains("no object number 1"));
    assert!(refusal(&forge(&inline(4, b"abcd"), 3, &[])).contains("more inline bytes"));
    assert!(refusal(&forge(&i64::MIN.to_le_bytes(), u64::MAX, &[])).contains("ends within a chunk"));
    assert!(refusal(&forge(&[], 0, &[0; 33])).contains("ends within an id"));
    assert!(refusal(&good[..good.len() - 1]).contains("a section is at"));
}

#[test]
fn the_header_of_an_early_bootc_is_read() {
    let new = forge(&[&(-3_i64).to_le_bytes()[..], b"abc"].concat(), 3, &[]);
    // Its compiler had ordered the fields: info, flags, magic, version, algorithm, block size.
    let old = [&new[16..32], &new[12..14], &new[0..11], &new[11..12], &new[14..16], &new[32..]].concat();
    assert_eq!(read_to_end(&old, Algorithm::Sha256).unwrap(), 3);
}
