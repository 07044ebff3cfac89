//! Whiteouts of what nobody may remove, and names that look like them.

use super::attack::{Attack, Expect::Refused, Expect::Tree, OUTSIDE, layer, layers};
use super::layout::GOOD_TREE;
use crate::kit::{RawHeader, RawTar};

fn base() -> Vec<u8> {
    RawTar::new().dir("d").file("d/low", b"l").file("keep", b"k").end()
}

const BASE: &[&str] = &[
    "/d 0 40755 2 0 0 0 0.0 - - -",
    "/d/low 1 100644 1 0 0 0 0.0 - l -",
    "/keep 1 100644 1 0 0 0 0.0 - k -",
];

const WITHOUT_KEEP: &[&str] = &["/d 0 40755 2 0 0 0 0.0 - - -", "/d/low 1 100644 1 0 0 0 0.0 - l -"];

pub const ATTACKS: &[Attack] = &[
    layer("a whiteout of nothing", Refused("layer/whiteout"), || RawTar::new().file(".wh.", b"").end()),
    layer("a whiteout of its folder", Refused("layer/whiteout"), || {
        RawTar::new().dir("d").file("d/.wh..", b"").end()
    }),
    layer("a whiteout of its folder's parent", Refused("layer/whiteout"), || {
        RawTar::new().dir("d").file("d/.wh...", b"").end()
    }),
    layer("a whiteout that climbs", Refused("layer/name"), || {
        RawTar::new().file("../../canary/.wh.sings", b"").end()
    }),
    layer(
        "a whiteout through a symlink that leads out",
        Tree(&["/out 25 120777 1 0 0 0 0.0 /sealstone-hostile-canary - -"]),
        || RawTar::new().symlink("out", OUTSIDE).file("out/.wh.sings", b"").end(),
    ),
    layer("a folder with a whiteout's name, and a file in it", Refused("layer/whiteout"), || {
        RawTar::new().dir(".wh.d").file(".wh.d/x", b"x").end()
    }),
    layers("a whiteout that is a symlink", Tree(WITHOUT_KEEP), || {
        vec![base(), RawTar::new().symlink(".wh.keep", OUTSIDE).end()]
    }),
    layers("a whiteout that is a device", Tree(WITHOUT_KEEP), || {
        vec![base(), RawTar::new().entry(RawHeader::new(b'4', ".wh.keep").device(8, 0), b"").end()]
    }),
    layers("a whiteout that is a hardlink to nothing", Tree(WITHOUT_KEEP), || {
        vec![base(), RawTar::new().hardlink(".wh.keep", "nothing").end()]
    }),
    layers("a whiteout with a body", Tree(WITHOUT_KEEP), || {
        vec![base(), RawTar::new().file(".wh.keep", &[b'x'; 5000]).end()]
    }),
    layers("a whiteout of what was never there", Tree(BASE), || {
        vec![base(), RawTar::new().file("no/such/.wh.thing", b"").end()]
    }),
    layers("a whiteout behind a lower layer's file", Tree(BASE), || {
        vec![base(), RawTar::new().file("keep/.wh.x", b"").end()]
    }),
    layers("an opaque root", Tree(GOOD_TREE), || {
        vec![base(), RawTar::new().file("a", b"x").file(".wh..wh..opq", b"").end()]
    }),
    layers(
        "an opaque folder that is a symlink below",
        Tree(&[
            "/d 0 40755 2 0 0 0 0.0 - - -",
            "/d/low 1 100644 1 0 0 0 0.0 - l -",
            "/keep 1 100644 1 0 0 0 0.0 - k -",
            "/s 0 40755 2 0 0 0 0.0 - - -",
        ]),
        || {
            let low = RawTar::new().dir("d").file("d/low", b"l").file("keep", b"k").symlink("s", "d").end();
            vec![low, RawTar::new().dir("s").file("s/.wh..wh..opq", b"").end()]
        },
    ),
    layer("a hardlink to a whiteout", Refused("layer/hardlink"), || {
        RawTar::new().file(".wh.x", b"").hardlink("a", ".wh.x").end()
    }),
    layer("a hardlink to bookkeeping of AUFS", Refused("layer/hardlink"), || {
        RawTar::new().file(".wh..wh.plnk/1.2", b"x").hardlink("a", ".wh..wh.plnk/1.2").end()
    }),
    layers("a hardlink to what the layer removes", Refused("layer/hardlink"), || {
        vec![base(), RawTar::new().file(".wh.keep", b"").hardlink("a", "keep").end()]
    }),
    layer("a symlink to a whiteout's name, and a file through it", Refused("layer/whiteout"), || {
        RawTar::new().symlink("s", ".wh.x").file("s/y", b"x").end()
    }),
    layers("a whiteout and the file again, in both orders", Tree(GOOD_TREE), || {
        vec![
            RawTar::new().file("a", b"old").file("b", b"old").end(),
            RawTar::new().file(".wh.a", b"").file("a", b"x").file("c", b"").file(".wh.b", b"").end(),
            RawTar::new().file(".wh.c", b"").end(),
        ]
    }),
];
