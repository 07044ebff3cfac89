//! Numbers: octal, base-256, checksums, times, owners.

use sealstone_import::tar::{Reason, Strictness};

use crate::kit::{Header, Tar, read, read_with, refusal};

fn one(header: Header) -> Vec<u8> {
    Tar::new().entry(header, b"").end()
}

#[test]
fn octal_fields_may_have_leading_blanks_and_no_terminator() {
    let seen = read(&one(Header::new(b'0', "a").field(100..108, b"    644 ").field(108..116, b"00001750")));
    let metadata = seen[0].entry.metadata();
    assert_eq!((metadata.mode, metadata.uid), (0o644, 1000));
}

#[test]
fn a_checksum_without_blanks_is_accepted() {
    let mut block = Header::new(b'0', "a").done();
    block[154..156].copy_from_slice(b"\0\0");
    assert_eq!(read(&Tar::new().raw(&block).end()).len(), 1);
}

#[test]
fn a_checksum_of_signed_bytes_is_accepted() {
    let mut header = Header::new(b'0', b"caf\xe9").field(148..156, b"        ");
    let sum: i32 = header.0.iter().map(|byte| i32::from(byte.cast_signed())).sum();
    header = header.field(148..156, format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(read(&Tar::new().raw(&header.0).end())[0].entry.path(), b"caf\xe9");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut block = Header::new(b'0', "a").done();
    block[0] = b'b';
    assert_eq!(refusal(&Tar::new().raw(&block).end()), Reason::Checksum);
}

#[test]
fn garbage_between_entries_is_refused() {
    let tar = Tar::new().file("a", b"x").raw(&[0x5a; 512]).file("b", b"y").end();
    assert_eq!(refusal(&tar), Reason::Checksum);
}

#[test]
fn base_256_sizes_and_owners_are_read() {
    let header = Header::new(b'0', "a").field(124..136, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    let seen = read(&Tar::new().entry(header.field(108..116, &[0x80, 0, 0, 0, 0, 0x30, 0, 1]), b"abc").end());
    assert_eq!((seen[0].entry.size(), seen[0].entry.metadata().uid), (3, 0x30_0001));
}

#[test]
fn base_256_that_overflows_is_refused_and_never_wraps() {
    // 2^88 + 1, which wraps to 1 in composefs-oci 0.9.4.
    let size = [0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(refusal(&one(Header::new(b'0', "a").field(124..136, &size))), Reason::Number("size"));
    let size = [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(refusal(&one(Header::new(b'0', "a").field(124..136, &size))), Reason::Number("size"));
}

#[test]
fn negative_sizes_are_refused() {
    assert_eq!(refusal(&one(Header::new(b'0', "a").field(124..136, &[0xff; 12]))), Reason::Number("size"));
    let tar = Tar::new().pax(&[("size", b"-1")]).file("a", b"").end();
    assert_eq!(refusal(&tar), Reason::Number("PAX size"));
}

#[test]
fn sizes_over_the_largest_file_are_refused() {
    let tar = Tar::new().pax(&[("size", b"17592186044417")]).file("a", b"").end();
    assert!(matches!(refusal(&tar), Reason::TooBig { what: "bytes in a file", .. }));
}

#[test]
fn times_before_1970_keep_second_and_nanosecond() {
    let seen = read(&Tar::new().pax(&[("mtime", b"-1.5")]).file("a", b"").end());
    assert_eq!((seen[0].entry.metadata().mtime.sec, seen[0].entry.metadata().mtime.nsec), (-2, 500_000_000));
    let seen = read(&one(Header::new(b'0', "a").field(136..148, &[0xff; 12])));
    assert_eq!((seen[0].entry.metadata().mtime.sec, seen[0].entry.metadata().mtime.nsec), (-1, 0));
}

#[test]
fn times_keep_nine_digits_of_a_second() {
    let seen = read(&Tar::new().pax(&[("mtime", b"1700000000.1234567899")]).file("a", b"").end());
    let mtime = seen[0].entry.metadata().mtime;
    assert_eq!((mtime.sec, mtime.nsec), (1_700_000_000, 123_456_789));
}

#[test]
fn modes_lose_all_but_permissions() {
    assert_eq!(read(&one(Header::new(b'0', "a").mode(0o104_755)))[0].entry.metadata().mode, 0o4755);
    let all = Header::new(b'0', "a").field(100..108, b"7777777\0");
    assert_eq!(read(&one(all))[0].entry.metadata().mode, 0o7777);
}

#[test]
fn owners_that_linux_cannot_have_are_refused() {
    for (id, is_taken) in [("4294967294", true), ("4294967295", false), ("5000000000", false), ("-1", false)]
    {
        for key in ["uid", "gid"] {
            let tar = Tar::new().pax(&[(key, id.as_bytes())]).file("a", b"").end();
            assert_eq!(read_with(&tar, Strictness::Normal).is_ok(), is_taken, "{key} {id}");
        }
    }
    let minus_one = Header::new(b'0', "a").field(108..116, &[0xff; 8]);
    assert_eq!(refusal(&one(minus_one)), Reason::Number("uid"));
    let large = Header::new(b'0', "a").field(116..124, &[0x80, 0, 0, 1, 0x2a, 0x05, 0xf2, 0]);
    assert_eq!(refusal(&one(large)), Reason::Number("gid"));
}

#[test]
fn fields_that_are_no_numbers_are_refused() {
    for (field, name) in
        [(100..108, "mode"), (108..116, "uid"), (116..124, "gid"), (124..136, "size"), (136..148, "mtime")]
    {
        assert_eq!(refusal(&one(Header::new(b'0', "a").field(field, b"12x"))), Reason::Number(name));
    }
}
