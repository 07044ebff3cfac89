//! Extended headers: records that lie about themselves, or that two readers take differently.

use super::attack::{Attack, Expect::Lines, Expect::Refused, Expect::Tree, OUTSIDE, blob, layer};
use super::layout::GOOD_TREE;
use super::tars::packed;
use crate::kit::{RawHeader, RawTar};

/// A file `a` after an extended header with this text.
fn after(text: &[u8]) -> Vec<u8> {
    RawTar::new().extended(b'x', text).file("a", b"x").end()
}

fn with(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    RawTar::new().records(&[(key, value)]).file("a", b"x").end()
}

pub const ATTACKS: &[Attack] = &[
    layer("a record longer than its header", Refused("layer/extended-header"), || after(b"99 path=b\n")),
    layer("a record of no length", Refused("layer/extended-header"), || after(b"0 path=b\n")),
    layer("a record whose length is a word", Refused("layer/extended-header"), || after(b"ten path=b\n")),
    layer("a length of 40 digits", Refused("layer/extended-header"), || {
        after(format!("{}10 path=b\n", "0".repeat(38)).as_bytes())
    }),
    layer("a length of 2^64", Refused("layer/extended-header"), || after(b"18446744073709551616 path=b\n")),
    layer("a record that ends in the middle of the next", Refused("layer/extended-header"), || {
        after(b"8 path=b\n10 path=c\n")
    }),
    layer("a record without an equals sign", Refused("layer/extended-header"), || after(b"8 path\n\n\n")),
    layer("a key with a NUL", Refused("layer/extended-header"), || after(b"11 pa\0th=b\n")),
    layer("an honest name, and a record that climbs", Refused("layer/name"), || {
        with("path", "../../canary/sings")
    }),
    layer("a path with a NUL, where others stop", Refused("layer/name"), || {
        with("path", b"a\0/../../canary")
    }),
    layer("a link's target that climbs", Refused("layer/name"), || {
        RawTar::new().records(&[("linkpath", "../../canary/sings")]).hardlink("a", "b").end()
    }),
    layer(
        "a size of the record that is not the header's",
        Tree(&["/a 5 100644 1 0 0 0 0.0 - hello -", "/b 1 100644 1 0 0 0 0.0 - x -"]),
        || {
            let tar =
                RawTar::new().records(&[("size", "5")]).entry(RawHeader::new(b'0', "a").size(0), b"hello");
            tar.file("b", b"x").end()
        },
    ),
    layer("a negative size", Refused("layer/number"), || with("size", "-1")),
    layer("a size with a plus", Refused("layer/number"), || with("size", "+1")),
    layer("a size of 2^64", Refused("layer/number"), || with("size", "18446744073709551616")),
    layer("a size of 2^63", Refused("layer/too-big"), || with("size", "9223372036854775808")),
    layer("an owner of -1", Refused("layer/number"), || with("uid", "-1")),
    layer("a group of 2^32", Refused("layer/number"), || with("gid", "4294967296")),
    layer("a time in floating point", Refused("layer/number"), || with("mtime", "1e99")),
    layer("a time past the last", Refused("layer/number"), || with("mtime", "9223372036854775808")),
    layer("the first time there is", Tree(&["/a 1 100644 1 0 0 0 -9223372036854775808.0 - x -"]), || {
        with("mtime", "-9223372036854775808")
    }),
    layer("an extended header of 1 MiB and a byte", Refused("layer/too-big"), || {
        after(&vec![b'x'; (1 << 20) + 1])
    }),
    layer("an extended header that says 1 TiB", Refused("layer/too-big"), || {
        let size = [0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        RawTar::new().entry(RawHeader::new(b'x', "x").field(124..136, &size), b"").file("a", b"x").end()
    }),
    layer("an extended header and no entry", Refused("layer/truncated"), || {
        RawTar::new().file("a", b"x").records(&[("path", "b")]).cut()
    }),
    layer("an extended header, its padding cut off, and no entry", Refused("layer/truncated"), || {
        let mut tar = RawTar::new().file("a", b"x").records(&[("path", "b")]).cut();
        tar.truncate(tar.len() - 100);
        tar
    }),
    layer("an extended header, and the end", Refused("layer/extended-header"), || {
        RawTar::new().file("a", b"x").records(&[("path", "b")]).end()
    }),
    layer("an attribute's name of 256 bytes", Refused("layer/too-big"), || {
        with(&format!("SCHILY.xattr.user.{}", "n".repeat(251)), "v")
    }),
    layer("an attribute of 64 KiB and a byte", Refused("layer/too-big"), || {
        with("SCHILY.xattr.user.a", vec![b'v'; (64 << 10) + 1])
    }),
    layer("attributes of more than 64 KiB together", Refused("layer/too-big"), || {
        let records: Vec<_> =
            (0..17).map(|number| (format!("SCHILY.xattr.user.{number}"), vec![b'v'; 4096])).collect();
        RawTar::new().records(&records).file("a", b"x").end()
    }),
    layer("an attribute without a name", Refused("layer/name"), || with("SCHILY.xattr.", "v")),
    layer("attributes that overlayfs would follow", Tree(GOOD_TREE), || {
        let records = ["opaque", "redirect", "metacopy", "overlay.opaque"]
            .map(|name| (format!("SCHILY.xattr.trusted.overlay.{name}"), "/etc/shadow"));
        RawTar::new().records(&records).file("a", b"x").end()
    }),
    layer("a label of SELinux", Tree(GOOD_TREE), || {
        with("SCHILY.xattr.security.selinux", "system_u:object_r:shadow_t:s0")
    }),
    layer(
        "3,000 attributes that two files share",
        Tree(&["/a 1 100644 1 0 0 0 0.0 - x -", "/b 1 100644 1 0 0 0 0.0 - x -"]),
        || {
            let records: Vec<_> =
                (0..3000).map(|number| (format!("SCHILY.xattr.user.{number}"), "v")).collect();
            RawTar::new().records(&records).file("a", b"x").records(&records).file("b", b"x").end()
        },
    ),
    layer("an attribute of libarchive that is not base64", Refused("layer/extended-header"), || {
        with("LIBARCHIVE.xattr.user.a", "****")
    }),
    layer("a global header that renames all", Tree(GOOD_TREE), || {
        let text = crate::kit::raw_tar::pax_text(&[("path", OUTSIDE.as_bytes()), ("size", b"0")]);
        RawTar::new().extended(b'g', &text).file("a", b"x").end()
    }),
    layer("two names, GNU's and POSIX's", Tree(&["/gnu 1 100644 1 0 0 0 0.0 - x -"]), || {
        RawTar::new().records(&[("path", "posix")]).extended(b'L', b"gnu\0").file("a", b"x").end()
    }),
    layer("two targets, GNU's and POSIX's", Tree(&["/a 3 120777 1 0 0 0 0.0 gnu - -"]), || {
        RawTar::new().records(&[("linkpath", "posix")]).extended(b'K', b"gnu\0").symlink("a", "x").end()
    }),
    layer("a GNU long name that climbs", Refused("layer/name"), || {
        RawTar::new().extended(b'L', b"../../canary/sings\0").file("a", b"x").end()
    }),
    blob("256 MiB of global headers", Tree(GOOD_TREE), || {
        let text = crate::kit::raw_tar::pax_text(&[("comment", &vec![b'x'; (1 << 20) - 100])]);
        packed((0..256).fold(RawTar::new(), |tar, _| tar.extended(b'g', &text)).file("a", b"x").end())
    }),
    blob("256 MiB of extended headers, and one entry", Tree(GOOD_TREE), || {
        let text = crate::kit::raw_tar::pax_text(&[("comment", &vec![b'x'; (1 << 20) - 100])]);
        packed((0..256).fold(RawTar::new(), |tar, _| tar.extended(b'x', &text)).file("a", b"x").end())
    }),
    blob(
        "200 keys of 1 MiB that a warning would name",
        Lines(200, "/f000 1 100644 1 0 0 0 0.0 - x -"),
        || {
            let key = format!("SCHILY.acl.{}", "k".repeat((1 << 20) - 100));
            let add = |tar: RawTar, number| tar.records(&[(&key, "v")]).file(format!("f{number:03}"), b"x");
            packed((0..200).fold(RawTar::new(), add).end())
        },
    ),
];
