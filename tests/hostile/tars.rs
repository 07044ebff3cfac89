//! Headers, names and ends: tars that lie about themselves.

use super::attack::{Attack, Expect::Lines, Expect::Refused, Expect::Tree, OUTSIDE, blob, layer};
use crate::kit::{RawHeader, RawTar};

/// A base-256 field: two's complement of a wide number.
fn wide(bytes: &[u8]) -> Vec<u8> {
    let mut field = bytes.to_vec();
    field[0] |= 0x80;
    field
}

fn file() -> RawHeader {
    RawHeader::new(b'0', "a").size(1)
}

/// Compressed, since some of these tars are long.
pub fn packed(tar: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    (super::compression::gzip(&tar), tar)
}

pub const ATTACKS: &[Attack] = &[
    layer("a name that climbs to the canary", Refused("layer/name"), || {
        RawTar::new().file("../../canary/sings", b"dead").end()
    }),
    layer("a name that climbs out of a folder", Refused("layer/name"), || {
        RawTar::new().dir("usr").file("usr/../../canary/sings", b"dead").end()
    }),
    layer(
        "an absolute name",
        Tree(&[
            "/sealstone-hostile-canary 0 40755 2 0 0 0 0.0 - - -",
            "/sealstone-hostile-canary/sings 4 100644 1 0 0 0 0.0 - dead -",
        ]),
        || RawTar::new().file(format!("{OUTSIDE}/sings"), b"dead").end(),
    ),
    layer(
        "a name of slashes and dots",
        Tree(&["/a 0 40755 2 0 0 0 0.0 - - -", "/a/b 1 100644 1 0 0 0 0.0 - x -"]),
        || RawTar::new().file("//.//a/././/b", b"x").end(),
    ),
    layer("a name that is a climb alone", Refused("layer/name"), || RawTar::new().dir("..").end()),
    layer("an empty name", Refused("layer/name"), || RawTar::new().file("", b"x").end()),
    layer(
        "a name that drives the terminal",
        Tree(&[r"/\x1b]0;owned\x07 1 100644 1 0 0 0 0.0 - x -"]),
        || RawTar::new().file(b"\x1b]0;owned\x07", b"x").end(),
    ),
    layer("a refused name that drives the terminal", Refused("layer/name"), || {
        RawTar::new().file(b"\x1b[2J/../x", b"x").end()
    }),
    layer("a name that is not UTF-8", Tree(&[r"/\xff\xfe 1 100644 1 0 0 0 0.0 - x -"]), || {
        RawTar::new().file(b"\xff\xfe", b"x").end()
    }),
    layer("a component of 256 bytes", Refused("layer/too-big"), || {
        RawTar::new().records(&[("path", "n".repeat(256))]).file("x", b"x").end()
    }),
    layer("a path of 4,096 bytes", Refused("layer/too-big"), || {
        RawTar::new().records(&[("path", "n/".repeat(2047) + "nn")]).file("x", b"x").end()
    }),
    layer("a path of 1,024 components", Lines(1024, "/d/d/d/d"), || {
        RawTar::new().records(&[("path", "d/".repeat(1024))]).dir("x").end()
    }),
    layer("a path of 1,025 components", Refused("layer/too-big"), || {
        RawTar::new().records(&[("path", "d/".repeat(1025))]).dir("x").end()
    }),
    layer("the root as a symlink", Refused("layer/root"), || {
        RawTar::new().symlink("./", OUTSIDE).file("a", b"x").end()
    }),
    layer("the root as a file", Refused("layer/root"), || RawTar::new().file("/", b"x").end()),
    layer("the root as a device", Refused("layer/root"), || {
        RawTar::new().entry(RawHeader::new(b'4', ".").device(8, 0), b"").end()
    }),
    layer("a file where its own folder was", Tree(&["/a 1 100644 1 0 0 0 0.0 - y -"]), || {
        RawTar::new().dir("a").file("a/b", b"x").file("a", b"y").end()
    }),
    layer("an entry below a file", Refused("layer/parent"), || {
        RawTar::new().file("a", b"x").file("a/b", b"y").end()
    }),
    layer("an entry below a device", Refused("layer/parent"), || {
        RawTar::new().entry(RawHeader::new(b'3', "a").device(1, 5), b"").file("a/b", b"y").end()
    }),
    layer("a negative size", Refused("layer/number"), || {
        RawTar::new().entry(file().field(124..136, &[0xff; 12]), b"x").end()
    }),
    layer("a size with a minus", Refused("layer/number"), || {
        RawTar::new().entry(file().field(124..136, b"-0000000001"), b"x").end()
    }),
    layer("a size of 2^62", Refused("layer/too-big"), || {
        RawTar::new()
            .entry(file().field(124..136, &wide(&[0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0])), b"x")
            .end()
    }),
    layer("a size of 2^88 + 1, which some cut to 1", Refused("layer/number"), || {
        RawTar::new().entry(file().field(124..136, &wide(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])), b"x").end()
    }),
    layer("a size of 8 GiB and no such body", Refused("layer/truncated"), || {
        RawTar::new().entry(file().size((8 << 30) - 1), b"x").end()
    }),
    layer("an owner of 2^32 - 1, which means nobody", Refused("layer/number"), || {
        RawTar::new().entry(file().field(108..116, &wide(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])), b"x").end()
    }),
    layer("a group of 2^33", Refused("layer/number"), || {
        RawTar::new().entry(file().field(116..124, &wide(&[0, 0, 0, 2, 0, 0, 0, 0])), b"x").end()
    }),
    layer("a mode of all bits", Tree(&["/a 1 107777 1 0 0 0 0.0 - x -"]), || {
        RawTar::new().entry(file().field(100..108, &[0xff; 8]), b"x").end()
    }),
    layer("the last time there is", Tree(&["/a 1 100644 1 0 0 0 9223372036854775807.0 - x -"]), || {
        let last = wide(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        RawTar::new().entry(file().field(136..148, &last), b"x").end()
    }),
    layer("a checksum that is off by one", Refused("layer/checksum"), || {
        let mut block = file().done();
        block[153] ^= 1;
        RawTar::new().raw(&block).raw(b"x").end()
    }),
    layer("a block of ones", Refused("layer/checksum"), || RawTar::new().raw(&[0xff; 512]).end()),
    layer("an unknown type", Refused("layer/type"), || {
        RawTar::new().entry(RawHeader::new(b'Z', "a"), b"").end()
    }),
    layer("a multi-volume continuation", Refused("layer/type"), || {
        RawTar::new().entry(RawHeader::new(b'M', "a").gnu(), b"").end()
    }),
    layer("a device number that Linux does not have", Refused("layer/number"), || {
        RawTar::new().entry(RawHeader::new(b'3', "a").device(1 << 12, 0), b"").end()
    }),
    layer("a negative device number", Refused("layer/number"), || {
        RawTar::new().entry(RawHeader::new(b'3', "a").field(329..337, &[0xff; 8]), b"").end()
    }),
    layer(
        "a device 0:0, which overlayfs takes for a whiteout",
        Tree(&["/a 0 20644 1 0 0 0 0.0 - - -"]),
        || RawTar::new().entry(RawHeader::new(b'3', "a").device(0, 0), b"").end(),
    ),
    layer(
        "the names of the folders of objects, as whiteouts",
        Lines(256, "/00 0 20644 1 0 0 0 0.0 - - -"),
        || {
            let device = |name: u32| RawHeader::new(b'3', format!("{name:02x}")).device(0, 0);
            (0..256).fold(RawTar::new(), |tar, name| tar.entry(device(name), b"")).end()
        },
    ),
    layer(
        "a size on an entry without a body, which hides the next one from some",
        Tree(&["/d 0 40755 2 0 0 0 0.0 - - -", "/seen 1 100644 1 0 0 0 0.0 - x -"]),
        || {
            RawTar::new()
                .entry(RawHeader::new(b'5', "d").mode(0o755).size(1024), b"")
                .file("seen", b"x")
                .end()
        },
    ),
    layer("a second tar after the end", Tree(&["/a 1 100644 1 0 0 0 0.0 - x -"]), || {
        RawTar::new().file("a", b"x").zeros(2).file("hidden", b"y").end()
    }),
    layer("a lone zero block", Refused("layer/lone-zero-block"), || {
        RawTar::new().file("a", b"x").zeros(1).file("hidden", b"y").end()
    }),
    layer("a tar cut in a header", Refused("layer/truncated"), || {
        let mut tar = RawTar::new().file("a", b"x").file("b", b"y").cut();
        tar.truncate(1024 + 100);
        tar
    }),
    layer("a tar cut in a body", Refused("layer/truncated"), || {
        let mut tar = RawTar::new().file("a", &[1; 5000]).cut();
        tar.truncate(3000);
        tar
    }),
    layer("no tar at all", Refused("layer/checksum"), || b"#!/bin/sh\n".repeat(100)),
    blob("70,000 names of one file", Lines(70_000, "/f00000 1 100644 70000 "), || {
        let tar = RawTar::new().file("f00000", b"x");
        packed((1..70_000).fold(tar, |tar, name| tar.hardlink(format!("f{name:05}"), "f00000")).end())
    }),
    blob("256 MiB of zeros after the end", Tree(super::layout::GOOD_TREE), || {
        packed(RawTar::new().file("a", b"x").zeros((256 << 20) / 512).cut())
    }),
    blob("65 MiB of something else after the end", Refused("layer/too-big"), || {
        packed(RawTar::new().file("a", b"x").zeros(2).raw(&vec![b'x'; 65 << 20]).cut())
    }),
];
