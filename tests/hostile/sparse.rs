//! Sparse files: maps that contradict themselves, and holes without end.

use super::attack::{Attack, Expect::Refused, Expect::Tree, blob, layer};
use super::tars::packed;
use crate::kit::{RawHeader, RawTar};

/// An old GNU sparse file with these descriptors.
fn gnu(descriptors: &[(u64, u64)], real_size: u64, body: &[u8]) -> RawHeader {
    let header = RawHeader::new(b'S', "s").gnu().size(body.len() as u64).octal(483..495, real_size);
    descriptors.iter().zip((386..).step_by(24)).fold(header, |header, ((offset, len), at)| {
        header.octal(at..at + 12, *offset).octal(at + 12..at + 24, *len)
    })
}

/// A file in the records' format 0.1 with these fields.
fn records(size: &str, count: &str, map: &str, body: &[u8]) -> Vec<u8> {
    let fields = [
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.size", size),
        ("GNU.sparse.numblocks", count),
        ("GNU.sparse.map", map),
    ];
    RawTar::new().records(&fields).file("x", body).end()
}

/// A file in format 1.0, whose body starts with this map.
fn text(map: &str, real_size: &str) -> Vec<u8> {
    let mut body = map.as_bytes().to_vec();
    body.resize(map.len().next_multiple_of(512), 0);
    let fields = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.realsize", real_size),
    ];
    RawTar::new().records(&fields).file("x", &body).end()
}

pub const ATTACKS: &[Attack] = &[
    layer("segments that overlap", Refused("layer/sparse"), || {
        RawTar::new().entry(gnu(&[(0, 4), (2, 2)], 10, b"abcdef"), b"abcdef").end()
    }),
    layer("segments out of order", Refused("layer/sparse"), || records("10", "2", "6,2,0,2", b"abcd")),
    layer("a segment past the end", Refused("layer/sparse"), || records("3", "1", "2,2", b"ab")),
    layer("a segment whose end overflows", Refused("layer/sparse"), || {
        records("10", "1", "18446744073709551615,2", b"ab")
    }),
    layer("segments of more than the body", Refused("layer/sparse"), || records("10", "1", "0,4", b"ab")),
    layer("segments of less than the body", Refused("layer/sparse"), || records("10", "1", "0,1", b"ab")),
    layer("a map of an odd count", Refused("layer/sparse"), || records("10", "1", "0,2,4", b"ab")),
    layer("a count that is not the map's", Refused("layer/sparse"), || records("10", "7", "0,2", b"ab")),
    layer("a map that is no list", Refused("layer/sparse"), || records("10", "1", "0;2", b"ab")),
    layer("a negative real size", Refused("layer/number"), || {
        RawTar::new().entry(gnu(&[(0, 2)], 10, b"ab").field(483..495, &[0xff; 12]), b"ab").end()
    }),
    layer("a real size of more than a file can have", Refused("layer/too-big"), || {
        records("17592186044417", "1", "0,2", b"ab")
    }),
    layer("holes of 15 TiB in 2 KiB, which every check would read", Refused("layer/too-big"), || {
        records("16492674416640", "1", "0,2", b"ab")
    }),
    layer("many holes that are too much together", Refused("layer/too-big"), || {
        let add = |tar: RawTar, number| {
            let name = format!("s{number}");
            let fields = [
                ("GNU.sparse.name", name.as_str()),
                ("GNU.sparse.size", "1073741824"),
                ("GNU.sparse.map", "0,2"),
            ];
            tar.records(&fields).file("x", b"ab")
        };
        (0..65).fold(RawTar::new(), add).end()
    }),
    layer("a text map of 2^63 segments", Refused("layer/sparse"), || text("9223372036854775808\n", "10")),
    layer("a text map of 2^64 segments", Refused("layer/sparse"), || text("18446744073709551616\n", "10")),
    layer("a text map of words", Refused("layer/sparse"), || text("one\ntwo\n", "10")),
    layer("a map without a format", Refused("layer/sparse"), || {
        RawTar::new().records(&[("GNU.sparse.name", "s"), ("GNU.sparse.size", "10")]).file("x", b"ab").end()
    }),
    layer("a format of the future", Refused("layer/sparse"), || {
        RawTar::new().records(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")]).file("x", b"ab").end()
    }),
    layer("two maps", Refused("layer/sparse"), || {
        let fields = [("GNU.sparse.size", "10"), ("GNU.sparse.map", "0,2")];
        RawTar::new().records(&fields).entry(gnu(&[(0, 2)], 10, b"ab"), b"ab").end()
    }),
    layer("a sparse folder", Refused("layer/sparse"), || {
        let fields = [("GNU.sparse.size", "10"), ("GNU.sparse.map", "0,0")];
        RawTar::new().records(&fields).dir("d").end()
    }),
    layer("a sparse name that climbs", Refused("layer/name"), || {
        let fields =
            [("GNU.sparse.name", "../../canary/sings"), ("GNU.sparse.map", "0,2"), ("GNU.sparse.size", "2")];
        RawTar::new().records(&fields).file("x", b"ab").end()
    }),
    layer("a sparse whiteout", Tree(&[]), || {
        let fields = [("GNU.sparse.name", ".wh.x"), ("GNU.sparse.map", "0,2"), ("GNU.sparse.size", "100000")];
        RawTar::new().records(&fields).file("x", b"ab").end()
    }),
    blob("100,000 blocks of map that say nothing", Refused("layer/too-big"), || {
        let mut more = [0; 512];
        more[504] = 1;
        let header = gnu(&[], 10, b"").field(482..483, &[1]);
        packed(RawTar::new().entry(header, b"").raw(&more.repeat(100_000)).end())
    }),
    blob("66,000 segments", Refused("layer/too-big"), || {
        let map: Vec<String> = (0..66_000).map(|number| format!("{},1", number * 2)).collect();
        packed(records("1000000", "66000", &map.join(","), &vec![b'x'; 66_000]))
    }),
];
