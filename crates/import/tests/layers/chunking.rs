//! The same tar in other pieces gives the same entries.

use proptest::prelude::*;
use sealstone_import::Limits;
use sealstone_import::tar::{Item, Reader, Strictness};

use crate::kit::{Header, Tar, pax_text, read_chunks};

/// A tar with one of everything whose state outlives a block.
pub fn sample() -> Vec<u8> {
    let long = "long/".repeat(120);
    let mut sparse = Header::new(b'S', "old").gnu().size(5).octal(483..495, 6000);
    sparse = sparse.field(386..398, b"00000000000").field(398..410, b"00000000002");
    sparse.0[482] = 1;
    let mut extension = [0; 512];
    extension[..12].copy_from_slice(b"00000007640\0");
    extension[12..24].copy_from_slice(b"00000000003\0");
    let mut map = b"1\n100\n700\n".to_vec();
    map.resize(512, 0);
    map.resize(512 + 700, b's');
    let sparse_1_0: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"new"),
        ("GNU.sparse.realsize", b"1000"),
    ];
    Tar::new()
        .extended(b'g', &pax_text(&[("comment", b"global")]))
        .entry(Header::new(b'5', "./"), b"")
        .file("a/small", b"0123456789")
        .file("a/empty", b"")
        .file("a/block", &[7; 512])
        .file("a/large", &[8; 5000])
        .pax(&[("path", long.as_bytes()), ("mtime", b"-1.5"), ("SCHILY.xattr.user.a", &[9; 1500])])
        .file("x", b"long")
        .extended(b'L', long.as_bytes())
        .extended(b'K', long.as_bytes())
        .symlink("x", "y")
        .hardlink("h", "a/small")
        .raw(&sparse.done())
        .raw(&extension)
        .raw(b"ababa")
        .raw(&[0; 507])
        .pax(sparse_1_0)
        .entry(Header::new(b'0', "x").size(map.len() as u64), &map)
        .file("a/.wh.gone", b"")
        .file("last", &[1; 100])
        .zeros(2)
        .raw(b"trailing")
        .0
}

#[test]
fn every_chunk_size_gives_the_same() {
    let tar = sample();
    let whole = read_chunks(&mut [&tar[..]].into_iter(), &Limits::default(), Strictness::Normal).unwrap();
    assert_eq!(whole.0.len(), 12);
    for size in (1..=1200).chain([1 << 14]) {
        let pieces = read_chunks(&mut tar.chunks(size), &Limits::default(), Strictness::Normal).unwrap();
        assert!(whole == pieces, "chunks of {size} bytes");
    }
}

#[test]
fn bodies_that_are_all_there_are_one_slice_of_the_input() {
    let tar = sample();
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    let mut input = &tar[..];
    while reader.next(&mut input).unwrap().item == Item::Entry {
        let packed = reader.entry().packed_size();
        assert!(packed <= input.len() as u64);
        let start = input.as_ptr();
        let body = reader.take_body(&mut input).unwrap();
        assert_eq!(body.len() as u64, packed);
        assert!(body.is_empty() || body.as_ptr() == start, "the body was copied");
    }
}

#[test]
fn a_body_that_is_not_all_there_is_not_taken() {
    let tar = Tar::new().file("a", &[1; 1000]).0;
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    let mut input = &tar[..1511];
    assert_eq!(reader.next(&mut input).unwrap().item, Item::Entry);
    assert_eq!((reader.take_body(&mut input), input.len()), (None, 999));
    assert!(
        matches!(reader.next(&mut input).unwrap().item, Item::Body { bytes, is_last: false } if bytes.len() == 999)
    );
    assert_eq!(reader.next(&mut input).unwrap().item, Item::NeedInput);
    let mut input = &tar[1511..];
    assert!(matches!(reader.next(&mut input).unwrap().item, Item::Body { bytes: [1], is_last: true }));
}

proptest! {
    #[test]
    fn any_split_gives_the_same(sizes in prop::collection::vec(0_usize..2000, 1..40)) {
        let tar = sample();
        let mut rest = &tar[..];
        let mut chunks: Vec<&[u8]> = Vec::new();
        for size in sizes.iter().cycle().take(10_000) {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let whole = read_chunks(&mut [&tar[..]].into_iter(), &Limits::default(), Strictness::Normal).unwrap();
        let pieces = read_chunks(&mut chunks.into_iter(), &Limits::default(), Strictness::Normal).unwrap();
        prop_assert!(whole == pieces);
    }
}
