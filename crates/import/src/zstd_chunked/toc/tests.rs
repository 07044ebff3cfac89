//! Tables of contents, honest and not.

use serde_json::{Value, json};

use super::*;
use crate::DigestAlgorithm;

fn parse(entries: &[Value]) -> Result<Toc, String> {
    parse_document(&json!({"version": 1, "entries": entries, "tarSplitDigest": digest("split")}))
}

fn parse_document(document: &Value) -> Result<Toc, String> {
    Toc::parse(document.to_string().as_bytes(), 1008, &Limits::default())
}

fn digest(text: &str) -> String {
    Digest::of(DigestAlgorithm::Sha256, text.as_bytes()).to_string()
}

fn file(name: &str, size: u64, offset: u64, end: u64) -> Value {
    json!({"type": "reg", "name": name, "size": size, "digest": digest(name), "offset": offset, "endOffset": end})
}

/// A file of three chunks, 100 bytes each, the second of zeros.
fn chunked() -> Vec<Value> {
    let mut first = file("big", 300, 100, 400);
    first["chunkSize"] = json!(100);
    vec![
        first,
        json!({"type": "chunk", "name": "big", "chunkOffset": 100, "chunkSize": 100, "offset": 200, "chunkType": "zeros"}),
        json!({"type": "chunk", "name": "big", "chunkOffset": 200, "chunkSize": 100, "offset": 210}),
    ]
}

#[test]
fn a_table_says_where_the_chunks_of_each_file_lie() {
    let mut entries = vec![
        json!({"type": "dir", "name": "usr/", "mode": 493, "xattrs": {"a": "YQ=="}, "modtime": "2024-01-01T00:00:00Z"}),
        file("usr/a", 50, 10, 60),
        file("empty", 0, 0, 0),
    ];
    entries.extend(chunked());
    entries.push(file("usr/z", 5, 400, 1000));
    let toc = parse(&entries).unwrap();
    let names: Vec<_> = toc.files().iter().map(|file| toc.name(file)).collect();
    assert_eq!(names, [&b"usr/a"[..], b"big", b"usr/z"]);
    let big = &toc.files()[1];
    let chunks: Vec<_> =
        toc.chunks(big).iter().map(|chunk| (chunk.offset, chunk.end, chunk.size, chunk.is_zeros)).collect();
    assert_eq!(chunks, [(100, 200, 100, false), (200, 210, 100, true), (210, 400, 100, false)]);
    assert_eq!(toc.chunks(&toc.files()[0]).len(), 1);
    assert_eq!(toc.tar_split_digest().unwrap().to_string(), digest("split"));
}

#[test]
fn tables_that_lie_about_places_or_sizes_are_refused() {
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut entries = chunked();
        change(&mut entries);
        parse(&entries).unwrap_err()
    };
    let two = |second: Value| parse(&[file("a", 10, 100, 200), second]).unwrap_err();
    for (error, expected) in [
        (two(file("b", 10, 199, 300)), "overlaps"),
        (two(file("b", 10, 50, 90)), "overlaps"),
        (two(file("b", 10, 300, 300)), "ends before"),
        (two(file("b", 10, 300, 299)), "ends before"),
        (two(file("b", 10, 300, 1001)), "behind the last frame"),
        (two(file("b", 10, 300, u64::MAX)), "behind the last frame"),
        (two(file("a", 10, 300, 400)), "twice"),
        (two(file("b", 1 << 60, 300, 400)), "more than"),
        (two(file("b", u64::MAX, 300, 400)), "more than"),
        (with(&|list| list[1]["chunkSize"] = json!(1_u64 << 60)), "bigger than the file"),
        (with(&|list| list[1]["chunkSize"] = json!(u64::MAX)), "bigger than the file"),
        (with(&|list| list[2]["chunkSize"] = json!(99)), "make 299 bytes"),
        (with(&|list| list[2]["chunkSize"] = json!(101)), "bigger than the file"),
        (with(&|list| list[2]["chunkSize"] = json!(0)), "no size"),
        (with(&|list| list[2]["chunkOffset"] = json!(150)), "not where"),
        (with(&|list| list[2]["offset"] = json!(200)), "overlaps"),
        (with(&|list| list[2]["offset"] = json!(400)), "outside"),
        (with(&|list| list[2]["name"] = json!("other")), "another file"),
        (with(&|list| list[1]["chunkType"] = json!("ones")), "unknown type"),
        (with(&|list| drop(list.remove(0))), "follows no file"),
        (with(&|list| drop(list.pop())), "make 200 bytes"),
        (with(&|list| list[0]["digest"] = json!("sha512:00")), "no SHA-256"),
        (with(&|list| drop(list[0].as_object_mut().unwrap().remove("digest"))), "no SHA-256"),
    ] {
        assert!(error.contains(expected), "{error} should say {expected:?}");
    }
}

#[test]
fn what_is_no_table_of_this_version_is_refused() {
    for bad in [
        json!({"version": 2, "entries": []}),
        json!({"entries": []}),
        json!({"version": 1, "entries": {}}),
        json!({"version": 1, "entries": [1]}),
        json!({"version": 1, "entries": [{"type": "reg"}]}),
        json!({"version": 1, "entries": [], "tarSplitDigest": "x"}),
        json!([]),
    ] {
        assert!(parse_document(&bad).is_err(), "{bad}");
    }
    assert!(
        Toc::parse(&b"{\"version\":1,\"entries\":[],\"entries\":[]}"[..], 9, &Limits::default()).is_err()
    );
    assert!(Toc::parse(&b"{\"version\":1} x"[..], 9, &Limits::default()).is_err());
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(Toc::parse(deep.as_bytes(), 9, &Limits::default()).is_err());
    let limits = Limits { entries: 2, ..Limits::default() };
    let many = json!({"version": 1, "entries": chunked()}).to_string();
    assert!(Toc::parse(many.as_bytes(), 1008, &limits).unwrap_err().contains("more than 2 chunks"));
}
