//! Sparse files: all four ways to write them give the same file.

use sealstone_import::tar::{Piece, Reason, Strictness};

use crate::kit::{Header, Seen, Tar, pax_text, read, read_with, refusal};

/// Where the data of the sample file are: of 3,000 bytes, `abc` at 512 and `defgh` at 2,000.
const MAP: [(u64, u64); 2] = [(512, 3), (2000, 5)];
const PACKED: &[u8] = b"abcdefgh";

fn descriptors(map: &[(u64, u64)]) -> Vec<u8> {
    map.iter().flat_map(|(offset, len)| format!("{offset:011o}\0{len:011o}\0").into_bytes()).collect()
}

fn old_gnu(map: &[(u64, u64)], size: u64, packed: &[u8]) -> Tar {
    let (first, rest) = map.split_at(map.len().min(4));
    let mut header = Header::new(b'S', "sparse").gnu().size(packed.len() as u64).octal(483..495, size);
    header = header.field(386..482, &descriptors(first));
    header.0[482] = u8::from(!rest.is_empty());
    let mut tar = Tar::new().raw(&header.done());
    let blocks: Vec<_> = rest.chunks(21).collect();
    for (index, chunk) in blocks.iter().enumerate() {
        let mut block = descriptors(chunk);
        block.resize(512, 0);
        block[504] = u8::from(index + 1 < blocks.len());
        tar = tar.raw(&block);
    }
    tar.raw(packed).raw(&vec![0; packed.len().next_multiple_of(512) - packed.len()])
}

fn pax_sparse(records: &[(&str, &[u8])], packed: &[u8]) -> Tar {
    Tar::new().pax(records).entry(Header::new(b'0', "GNUSparseFile.1/x").size(packed.len() as u64), packed)
}

/// A map as format 1.0 writes it.
fn text_map(map: &[(u64, u64)]) -> String {
    let segments = map.iter().map(|(offset, len)| format!("{offset}\n{len}\n"));
    std::iter::once(format!("{}\n", map.len())).chain(segments).collect()
}

fn format_1_0(map: &str, packed: &[u8], size: &[u8]) -> Tar {
    let mut body = map.as_bytes().to_vec();
    body.resize(body.len().next_multiple_of(512), 0);
    body.extend_from_slice(packed);
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"sparse"),
        ("GNU.sparse.realsize", size),
    ];
    pax_sparse(records, &body)
}

fn expand(seen: &Seen) -> Vec<u8> {
    let (mut out, mut packed) = (Vec::new(), &seen.body[..]);
    for piece in seen.entry.sparse().expect("the entry is sparse").pieces() {
        match piece {
            Piece::Zeros(len) => out.resize(out.len() + usize::try_from(len).unwrap(), 0),
            Piece::Data(len) => {
                let (data, rest) = packed.split_at(usize::try_from(len).unwrap());
                out.extend_from_slice(data);
                packed = rest;
            }
        }
    }
    assert!(packed.is_empty());
    out
}

fn check(tar: Tar) {
    let seen = read(&tar.file("after", b"x").end());
    assert_eq!((seen.len(), seen[0].entry.path()), (2, &b"sparse"[..]));
    assert_eq!((seen[0].entry.size(), seen[0].entry.packed_size()), (3000, 8));
    let mut file = vec![0; 3000];
    file[512..515].copy_from_slice(b"abc");
    file[2000..2005].copy_from_slice(b"defgh");
    assert!(expand(&seen[0]) == file);
    assert!(seen[1].entry.sparse().is_none(), "the next file is not sparse");
}

#[test]
fn old_gnu_sparse_files_expand() {
    check(old_gnu(&MAP, 3000, PACKED));
}

#[test]
fn old_gnu_sparse_files_with_extension_blocks_expand() {
    // 4 descriptors in the header, 21 in the first block, 5 in the second.
    let map: Vec<_> = (0..30).map(|index| (index * 100, 1)).collect();
    let packed: Vec<u8> = (1..31).collect();
    let seen = read(&old_gnu(&map, 3000, &packed).end());
    let file = expand(&seen[0]);
    assert_eq!(file.len(), 3000);
    for (offset, value) in map.iter().zip(&packed) {
        assert_eq!(file[usize::try_from(offset.0).unwrap()], *value);
    }
}

#[test]
fn pax_sparse_0_0_files_expand() {
    check(pax_sparse(
        &[
            ("path", b"sparse"),
            ("GNU.sparse.size", b"3000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"512"),
            ("GNU.sparse.numbytes", b"3"),
            ("GNU.sparse.offset", b"2000"),
            ("GNU.sparse.numbytes", b"5"),
        ],
        PACKED,
    ));
}

#[test]
fn pax_sparse_0_1_files_expand() {
    check(pax_sparse(
        &[
            ("GNU.sparse.size", b"3000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.map", b"512,3,2000,5"),
            ("GNU.sparse.name", b"sparse"),
        ],
        PACKED,
    ));
}

#[test]
fn pax_sparse_1_0_files_expand() {
    check(format_1_0("2\n512\n3\n2000\n5\n", PACKED, b"3000"));
}

#[test]
fn a_map_of_several_blocks_is_read() {
    let map: Vec<_> = (0..200).map(|index| (10_000 + index * 5, 1)).collect();
    let seen = read(&format_1_0(&text_map(&map), &[7; 200], b"20000").end());
    assert_eq!(expand(&seen[0]).iter().map(|byte| usize::from(*byte)).sum::<usize>(), 200 * 7);
}

#[test]
fn a_file_of_holes_alone_has_no_body() {
    for tar in [
        old_gnu(&[(4096, 0)], 4096, b""),
        format_1_0("0\n", b"", b"4096"),
        format_1_0("1\n4096\n0\n", b"", b"4096"),
    ] {
        let seen = read(&tar.end());
        assert_eq!((seen[0].entry.packed_size(), expand(&seen[0])), (0, vec![0; 4096]));
    }
}

#[test]
fn the_pax_path_yields_to_the_sparse_name() {
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.name", b"sparse"),
        ("path", b"GNUSparseFile.1/x"),
        ("GNU.sparse.map", b"0,1"),
        ("GNU.sparse.size", b"1"),
    ];
    assert_eq!(read(&pax_sparse(records, b"x").end())[0].entry.path(), b"sparse");
}

#[test]
fn maps_that_contradict_themselves_are_refused() {
    // Overlapping, out of order, past the end, overflowing, more or less data than the body has.
    for map in [
        &[(0, 4), (2, 4)][..],
        &[(2000, 4), (0, 4)],
        &[(2996, 8)],
        &[(0o777_7777_7777, 8)],
        &[(0, 9)],
        &[(0, 7)],
        &[],
    ] {
        assert!(matches!(refusal(&old_gnu(map, 3000, PACKED).end()), Reason::Sparse(_)), "{map:?}");
        assert!(
            matches!(refusal(&format_1_0(&text_map(map), PACKED, b"3000").end()), Reason::Sparse(_)),
            "{map:?}"
        );
    }
}

#[test]
fn malformed_maps_are_refused() {
    for map in ["x\n", "1\n0\n", "\n", "1\n0\n-8\n", "2\n0\n8\n", "99999999999999999999999\n"] {
        assert!(matches!(refusal(&format_1_0(map, PACKED, b"3000").end()), Reason::Sparse(_)), "{map:?}");
    }
    for map in ["0", "0,8,", "a,b", "0,8,9", ",", "0,-8"] {
        let records: &[(&str, &[u8])] = &[("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", b"3000")];
        assert!(matches!(refusal(&pax_sparse(records, PACKED).end()), Reason::Sparse(_)), "{map}");
    }
    let lone: &[(&str, &[u8])] = &[("GNU.sparse.numbytes", b"8"), ("GNU.sparse.size", b"8")];
    assert!(matches!(refusal(&pax_sparse(lone, PACKED).end()), Reason::Sparse(_)));
    let counted: &[(&str, &[u8])] =
        &[("GNU.sparse.numblocks", b"2"), ("GNU.sparse.map", b"0,8"), ("GNU.sparse.size", b"8")];
    assert!(matches!(refusal(&pax_sparse(counted, PACKED).end()), Reason::Sparse(_)));
}

#[test]
fn unknown_sparse_formats_are_refused_instead_of_taken_for_plain_files() {
    let records: &[(&str, &[u8])] = &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")];
    assert!(matches!(refusal(&pax_sparse(records, PACKED).end()), Reason::Sparse(_)));
    let no_map: &[(&str, &[u8])] = &[("GNU.sparse.size", b"3000")];
    assert!(matches!(refusal(&pax_sparse(no_map, PACKED).end()), Reason::Sparse(_)));
    // Go takes such a name only with a map: to it, this file is called otherwise.
    let name: &[(&str, &[u8])] = &[("GNU.sparse.name", b"other")];
    assert!(matches!(refusal(&pax_sparse(name, PACKED).end()), Reason::Sparse(_)));
    // Star's sparse files have another layout under the same type.
    assert_eq!(refusal(&Tar::new().entry(Header::new(b'S', "a"), b"").end()), Reason::Type(b'S'));
}

#[test]
fn a_sparse_map_on_what_is_no_file_is_refused() {
    let tar = Tar::new().pax(&[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"0")]).dir("d").end();
    assert!(matches!(refusal(&tar), Reason::Sparse(_)));
}

#[test]
fn the_number_of_segments_is_bounded() {
    // CVE-2025-58183: Go read maps of any length.
    let map: Vec<_> = (0..70_000).map(|index| (index, 0)).collect();
    let map = text_map(&map).replacen("70000", "4000000000", 1);
    let tar = format_1_0(&map, b"", b"1000000").end();
    assert!(matches!(refusal(&tar), Reason::TooBig { what: "segments in a sparse map", .. }));
}

#[test]
fn a_chain_of_empty_extension_blocks_is_bounded() {
    // tar-core 0.1.0 follows it forever: no block has a segment, so the bound for segments never trips.
    let mut header = Header::new(b'S', "sparse").gnu();
    header.0[482] = 1;
    let mut block = [0; 512];
    block[504] = 1;
    let mut tar = Tar::new().raw(&header.done());
    for _ in 0..20_000 {
        tar = tar.raw(&block);
    }
    assert!(matches!(refusal(&tar.0), Reason::TooBig { what: "segments in a sparse map", .. }));
}

#[test]
fn a_map_longer_than_the_body_is_refused() {
    let text =
        pax_text(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"8")]);
    let tar = Tar::new().extended(b'x', &text).entry(Header::new(b'0', "a").size(8), b"1\n0\n8\nab");
    assert!(matches!(refusal(&tar.end()), Reason::Sparse(_)));
}

#[test]
fn expanded_sizes_are_bounded() {
    let tar = format_1_0("0\n", b"", b"17592186044417").end();
    assert!(matches!(refusal(&tar), Reason::TooBig { what: "bytes in a file", .. }));
    let seen = read_with(&format_1_0("0\n", b"", b"68719476736").end(), Strictness::Normal).unwrap().0;
    assert_eq!(seen[0].entry.sparse().unwrap().pieces().collect::<Vec<_>>(), [Piece::Zeros(64 << 30)]);
    // Together, a layer's sparse files are no larger than a layer may be.
    let tar = format_1_0("0\n", b"", b"17592186044416").end();
    assert!(matches!(refusal(&tar), Reason::TooBig { limit, .. } if limit == 64 << 30));
    let half = || format_1_0("0\n", b"", b"34359738369");
    assert!(read_with(&half().end(), Strictness::Normal).is_ok());
    assert!(
        matches!(refusal(&half().raw(&half().0).end()), Reason::TooBig { limit, .. } if limit == 64 << 30)
    );
}
