//! What the writer makes, read back by zstd and by our own reader.

use std::io::Write as _;

use super::*;

fn pack(tar: &[u8], step: usize) -> (Vec<u8>, Annotations) {
    let mut blob = Vec::new();
    let mut writer = Writer::new().unwrap();
    for piece in tar.chunks(step) {
        writer.write(piece, &mut blob).unwrap();
    }
    let annotations = writer.finish(&mut blob).unwrap();
    (blob, annotations)
}

fn sample() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        header.set_entry_type(kind);
        tar.append_data(&mut header, name, body).unwrap();
    };
    let mut body = Vec::new();
    for number in 0_u32..200_000 {
        body.write_all(&number.wrapping_mul(0x9e37_79b9).to_le_bytes()).unwrap();
    }
    add("usr/", tar::EntryType::Directory, b"");
    add("usr/big", tar::EntryType::Regular, &body);
    add("usr/empty", tar::EntryType::Regular, b"");
    add(&format!("usr/{}", "long/".repeat(40)), tar::EntryType::Regular, b"x");
    body[1000..90_000].fill(0);
    add("usr/zeros", tar::EntryType::Regular, &body);
    add("usr/nothing else", tar::EntryType::Regular, &[0; 5000]);
    tar.into_inner().unwrap()
}

fn slice(blob: &[u8], part: Part) -> &[u8] {
    &blob[usize::try_from(part.offset).unwrap()..usize::try_from(part.offset + part.packed).unwrap()]
}

#[test]
fn the_blob_is_the_tar_in_plain_zstd_and_does_not_depend_on_pieces() {
    let tar = sample();
    let (blob, annotations) = pack(&tar, tar.len());
    assert!(zstd::decode_all(blob.as_slice()).unwrap() == tar);
    for step in [700, 65_536] {
        assert!(pack(&tar, step) == (blob.clone(), annotations.clone()), "pieces of {step}");
    }
}

#[test]
fn footer_annotations_and_table_agree() {
    let (blob, annotations) = pack(&sample(), 10_000);
    let footer = Footer::parse(blob.last_chunk().unwrap()).unwrap();
    assert_eq!((footer.toc, footer.tar_split), (annotations.toc, annotations.tar_split));
    let packed = slice(&blob, annotations.toc);
    assert_eq!(Digest::of(DigestAlgorithm::Sha256, packed), annotations.toc_digest);
    let json = zstd::decode_all(packed).unwrap();
    assert_eq!(json.len() as u64, annotations.toc.unpacked);
    let toc = super::super::Toc::parse(json.as_slice(), annotations.toc.offset, &Limits::default()).unwrap();
    assert_eq!(toc.files().len(), 4);
    let split = Digest::of(DigestAlgorithm::Sha256, slice(&blob, annotations.tar_split));
    assert_eq!(toc.tar_split_digest(), Some(&split));
    for file in toc.files() {
        let mut content = Vec::new();
        for chunk in toc.chunks(file) {
            let range = usize::try_from(chunk.offset).unwrap()..usize::try_from(chunk.end).unwrap();
            let bytes = zstd::decode_all(&blob[range]).unwrap();
            assert_eq!(bytes.len() as u64, chunk.size);
            assert!(!chunk.is_zeros || bytes.iter().all(|byte| *byte == 0));
            content.extend(bytes);
        }
        assert_eq!(Digest::Sha256(file.digest), Digest::of(DigestAlgorithm::Sha256, &content));
    }
    let zeros = toc.files().iter().flat_map(|file| toc.chunks(file)).filter(|chunk| chunk.is_zeros);
    assert_eq!(
        zeros.map(|chunk| chunk.size).collect::<Vec<_>>(),
        [89_000],
        "a file of one chunk says no type"
    );
}

#[test]
fn a_sparse_file_is_refused_since_the_format_has_no_words_for_it() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_path("sparse").unwrap();
    header.as_gnu_mut().unwrap().set_real_size(4096);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let mut writer = Writer::new().unwrap();
    assert!(matches!(writer.write(&tar, &mut Vec::new()), Err(ImportError::Unsupported { .. })));
}
