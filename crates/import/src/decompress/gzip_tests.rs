//! gzip's framing against zlib-rs: the same blobs accepted, with the same bytes.

use std::io::Write as _;

use flate2::{Decompress, FlushDecompress, GzBuilder, Status};

use super::Members;

/// Member after member, zeros after the last.
fn oracle(blob: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), blob);
    loop {
        let mut member = Decompress::new_gzip(15);
        loop {
            out.reserve(1 << 12);
            let (before_in, before_out) = (member.total_in(), member.total_out());
            let status = member.decompress_vec(rest, &mut out, FlushDecompress::None).ok()?;
            rest = &rest[usize::try_from(member.total_in() - before_in).unwrap()..];
            if status == Status::StreamEnd {
                break;
            }
            if member.total_in() == before_in && member.total_out() == before_out {
                return None;
            }
        }
        if rest.iter().all(|byte| *byte == 0) {
            return Some(out);
        }
        if rest[0] == 0 {
            return None;
        }
    }
}

fn ours(blob: &[u8], step: usize) -> Option<Vec<u8>> {
    let (mut members, mut out, mut room) = (Members::new(), Vec::new(), [0; 100]);
    for piece in blob.chunks(step).chain([&[][..]]) {
        let mut piece = piece;
        loop {
            let step = members.step(piece, &mut room).ok()?;
            piece = &piece[step.consumed..];
            out.extend_from_slice(&room[..step.produced]);
            if step.consumed + step.produced == 0 {
                break;
            }
        }
        assert!(piece.is_empty());
    }
    members.finish().ok().map(|()| out)
}

/// A member whose header has every field, the checksum of the header included.
fn member(body: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().mtime(1).extra(&b"extra"[..]).filename("name").comment("comment");
    let mut encoder = builder.write(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(body).unwrap();
    let plain = encoder.finish().unwrap();
    let header = 10 + 2 + 5 + 5 + 8;
    let mut with_checksum = plain[..header].to_vec();
    with_checksum[3] |= 2;
    let [a, b, ..] = crc32fast::hash(&with_checksum).to_le_bytes();
    with_checksum.extend([a, b]);
    with_checksum.extend(&plain[header..]);
    with_checksum
}

#[test]
fn a_header_with_every_field_is_passed_over() {
    let blob = [member(b"one "), member(b""), member(b"three")].concat();
    assert_eq!(oracle(&blob).unwrap(), b"one three");
    for step in [1, 2, 7, 1000] {
        assert_eq!(ours(&blob, step).unwrap(), b"one three");
    }
}

#[test]
fn any_bit_that_is_flipped_is_noticed_as_zlib_notices_it() {
    let mut blob = [member(b"a body, a body, a body"), member(b"another")].concat();
    blob.extend([0; 3]);
    for at in 0..blob.len() * 8 {
        blob[at / 8] ^= 1 << (at % 8);
        assert_eq!(ours(&blob, 1000), oracle(&blob), "bit {at}");
        blob[at / 8] ^= 1 << (at % 8);
    }
}

#[test]
fn a_flag_or_method_that_does_not_exist_is_refused() {
    for (at, value) in [(0, 0x1e), (1, 0x8c), (2, 7), (3, 0x20), (3, 0x40), (3, 0x80)] {
        let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(ours(&blob, 1000).unwrap(), b"");
        blob[at] = value;
        assert_eq!((ours(&blob, 1000), oracle(&blob)), (None, None), "{value} at {at}");
    }
}

#[test]
fn a_cut_anywhere_leaves_no_whole_blob_but_between_members() {
    let first = member(b"first");
    let blob = [first.clone(), member(b"second")].concat();
    for end in 1..blob.len() {
        assert_eq!(ours(&blob[..end], 1000), oracle(&blob[..end]), "cut at {end}");
        assert_eq!(ours(&blob[..end], 1000).is_some(), end == first.len(), "cut at {end}");
    }
}
