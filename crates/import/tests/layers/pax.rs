//! Extended headers: PAX, global, and GNU's long names.

use sealstone_import::tar::{Kind, Reason, Strictness, Warning};

use crate::kit::{Header, Tar, paths, pax_text, read, read_with, refusal, warnings};

fn is_refused_when_strict(tar: &[u8]) -> bool {
    matches!(
        read_with(tar, Strictness::Strict).map_err(|refusal| refusal.reason().clone()),
        Err(Reason::Strict(_))
    )
}

#[test]
fn records_override_the_header() {
    let records: &[(&str, &[u8])] = &[
        ("path", b"p"),
        ("linkpath", b"l"),
        ("uid", b"7"),
        ("gid", b"8"),
        ("mtime", b"9.5"),
        ("comment", b"-"),
    ];
    let seen = read(&Tar::new().pax(records).symlink("x", "y").file("z", b"").end());
    let (entry, after) = (&seen[0].entry, &seen[1].entry);
    assert_eq!((entry.path(), entry.link_target(), entry.kind()), (&b"p"[..], &b"l"[..], Kind::Symlink));
    let metadata = entry.metadata();
    assert_eq!((metadata.uid, metadata.gid, metadata.mtime.sec, metadata.mtime.nsec), (7, 8, 9, 500_000_000));
    assert_eq!((after.path(), after.metadata().uid), (&b"z"[..], 0), "records are for one entry");
}

#[test]
fn the_pax_size_counts_whatever_the_header_says() {
    // CVE-2025-62518, CVE-2026-33055: readers that took the header's size saw other entries.
    for header_size in [0, 512, 0o7777_7777] {
        let tar = Tar::new().pax(&[("size", b"5")]).entry(Header::new(b'0', "a").size(header_size), b"hello");
        let seen = read(&tar.file("b", b"").end());
        assert_eq!((seen.len(), &seen[0].body[..]), (2, &b"hello"[..]), "header says {header_size}");
    }
}

#[test]
fn a_pax_size_is_the_files_and_not_a_long_names() {
    // GHSA-3cv2-h65g-fgmm, RUSTSEC-2026-0112: the size was applied to the `L` block between.
    let tar = Tar::new()
        .pax(&[("size", b"5")])
        .entry(Header::new(b'L', "././@LongLink").gnu().size(10), b"long/name\0")
        .entry(Header::new(b'0', "a").size(0), b"hello")
        .file("b", b"");
    let seen = read(&tar.zeros(1).0);
    assert_eq!((seen[0].entry.path(), &seen[0].body[..]), (&b"long/name"[..], &b"hello"[..]));
    assert_eq!(seen[1].entry.path(), b"b");
}

#[test]
fn of_two_pax_headers_the_second_replaces_the_first() {
    let tar = Tar::new().pax(&[("uid", b"1"), ("gid", b"1")]).pax(&[("gid", b"2")]).file("a", b"").end();
    let metadata = read(&tar)[0].entry.metadata();
    assert_eq!((metadata.uid, metadata.gid), (0, 2));
    assert_eq!(warnings(&tar), [Warning::RepeatedExtendedHeader { kind: b'x' }]);
    assert!(is_refused_when_strict(&tar));
}

#[test]
fn of_two_records_of_one_key_the_last_counts() {
    assert_eq!(paths(&Tar::new().pax(&[("path", b"a"), ("path", b"b")]).file("x", b"").end()), ["b"]);
}

#[test]
fn gnu_long_names_replace_the_headers() {
    let target = "t".repeat(300);
    let tar = Tar::new()
        .extended(b'L', b"very/long\0ignored")
        .extended(b'K', target.as_bytes())
        .symlink("x", "y")
        .file("z", b"")
        .end();
    let seen = read(&tar);
    assert_eq!((seen[0].entry.path(), seen[0].entry.link_target()), (&b"very/long"[..], target.as_bytes()));
    assert_eq!(seen[1].entry.path(), b"z");
}

#[test]
fn a_gnu_long_name_wins_over_a_pax_path_in_either_order_as_in_go() {
    let pax: &[(&str, &[u8])] = &[("path", b"pax")];
    for tar in [Tar::new().pax(pax).extended(b'L', b"gnu"), Tar::new().extended(b'L', b"gnu").pax(pax)] {
        let tar = tar.file("x", b"").end();
        assert_eq!(paths(&tar), ["gnu"]);
        assert_eq!(warnings(&tar), [Warning::ConflictingNames { path: b"gnu"[..].into() }]);
        assert!(is_refused_when_strict(&tar));
    }
    let pax: &[(&str, &[u8])] = &[("linkpath", b"pax")];
    let tar = Tar::new().pax(pax).extended(b'K', b"gnu").symlink("x", "y").end();
    assert_eq!(read(&tar)[0].entry.link_target(), b"gnu");
    assert_eq!(warnings(&tar), [Warning::ConflictingNames { path: b"x"[..].into() }]);
}

#[test]
fn global_headers_are_ignored() {
    // What `git archive` starts with.
    let tar = Tar::new().extended(b'g', &pax_text(&[("comment", b"724cd08")])).file("a", b"").end();
    assert_eq!(paths(&tar), ["a"]);
    assert!(read_with(&tar, Strictness::Strict).is_ok());
    let tar = Tar::new().extended(b'g', &pax_text(&[("path", b"b"), ("size", b"512")])).file("a", b"x").end();
    assert_eq!((paths(&tar), &read(&tar)[0].body[..]), (vec!["a".to_owned()], &b"x"[..]));
    assert_eq!(warnings(&tar).len(), 2);
    assert!(is_refused_when_strict(&tar));
}

#[test]
fn an_empty_value_takes_the_headers_value() {
    let records: &[(&str, &[u8])] =
        &[("path", b""), ("uid", b""), ("mtime", b""), ("size", b""), ("linkpath", b"")];
    let tar =
        Tar::new().pax(records).entry(Header::new(b'0', "a").size(1).mtime(7).octal(108..116, 3), b"x").end();
    let entry = read(&tar)[0].entry.clone();
    assert_eq!((entry.path(), entry.size()), (&b"a"[..], 1));
    assert_eq!((entry.metadata().uid, entry.metadata().mtime.sec), (3, 7));
}

#[test]
fn an_empty_value_deletes_what_came_before_it() {
    let tar =
        Tar::new().pax(&[("path", b"a"), ("path", b""), ("uid", b"1"), ("uid", b"")]).file("x", b"").end();
    assert_eq!((paths(&tar), read(&tar)[0].entry.metadata().uid), (vec!["x".to_owned()], 0));
}

#[test]
fn malformed_records_are_refused() {
    for text in [
        &b"10 path=a\n"[..],
        b"8 path=a\n",
        b"11 path=a\n",
        b"99999 path=a\n",
        b"99999999999999999999999999 path=a\n",
        b"path=a\n",
        b"0 path=a\n",
        b"10 path=a\0",
        b" 9 path=a\n",
        b"-9 path=a\n",
        b"+10 path=a\n",
        b"7 path\n",
        b"6 =a\n\n",
        b"11 pa\0h=ab\n\0",
    ] {
        let tar = Tar::new().extended(b'x', text).file("x", b"").end();
        let is_first = text == b"10 path=a\n";
        let reason =
            read_with(&tar, Strictness::Normal).map(drop).map_err(|refusal| refusal.reason().clone());
        assert_eq!(reason.is_ok(), is_first, "{}", text.escape_ascii());
        assert!(is_first || matches!(reason, Err(Reason::ExtendedHeader(_))), "{}", text.escape_ascii());
    }
}

#[test]
fn malformed_global_headers_are_refused() {
    assert!(matches!(refusal(&Tar::new().extended(b'g', b"junk").end()), Reason::ExtendedHeader(_)));
}

#[test]
fn numbers_that_are_none_are_refused() {
    for (key, value) in
        [("uid", "x"), ("gid", "1.5"), ("size", "0x10"), ("size", "+1"), ("mtime", "1e3"), ("uid", " 1")]
    {
        let tar = Tar::new().pax(&[(key, value.as_bytes())]).file("a", b"").end();
        assert!(matches!(refusal(&tar), Reason::Number(_)), "{key}={value}");
    }
}

#[test]
fn extended_headers_end_at_one_mebibyte() {
    let text = pax_text(&[("comment", &vec![b'-'; (1 << 20) - 20])]);
    assert_eq!(text.len(), (1 << 20) - 3);
    assert_eq!(paths(&Tar::new().extended(b'x', &text).file("a", b"").end()), ["a"]);
    for typeflag in [b'x', b'g', b'L', b'K'] {
        let tar = Tar::new().entry(Header::new(typeflag, "x").size((1 << 20) + 1), b"");
        assert!(matches!(refusal(&tar.end()), Reason::TooBig { what: "bytes in an extended header", .. }));
    }
}

#[test]
fn an_extended_header_without_an_entry_is_refused() {
    let tar = Tar::new().file("a", b"").pax(&[("path", b"b")]);
    assert!(matches!(refusal(&tar.clone().end()), Reason::ExtendedHeader(_)));
    assert_eq!(refusal(&tar.0), Reason::Truncated("a header"));
}
