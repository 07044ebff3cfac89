//! Symlinks and hardlinks that lead out, in circles, or to what cannot be linked.

use super::attack::{Attack, Expect::Refused, Expect::Tree, OUTSIDE, layer, layers};
use crate::kit::{RawHeader, RawTar};

/// Symlinks `l0` to `lN` in a row, the last one to a folder, and a file through the first.
fn chain(count: usize) -> Vec<u8> {
    let add = |tar: RawTar, number: usize| tar.symlink(format!("l{number}"), format!("l{}", number + 1));
    let tar = (0..count).fold(RawTar::new().dir(format!("l{count}")), add);
    tar.file("l0/x", b"x").end()
}

/// 1,000 components, and 1,000 more behind a symlink to them.
fn deeper_and_deeper() -> Vec<u8> {
    let long = "d/".repeat(1000);
    let mut tar = RawTar::new().records(&[("path", &long)]).dir("x");
    tar = tar.records(&[("linkpath", &long)]).symlink("s0", "x");
    tar.records(&[("path", format!("s0/{long}"))]).dir("x").end()
}

pub const ATTACKS: &[Attack] = &[
    layer(
        "a symlink to the canary, and a file through it",
        Tree(&[
            "/canary 0 40755 2 0 0 0 0.0 - - -",
            "/canary/sings 4 100644 1 0 0 0 0.0 - dead -",
            "/out 15 120777 1 0 0 0 0.0 ../../../canary - -",
        ]),
        || RawTar::new().symlink("out", "../../../canary").file("out/sings", b"dead").end(),
    ),
    layer(
        "an absolute symlink, and a file through it",
        Tree(&[
            "/out 25 120777 1 0 0 0 0.0 /sealstone-hostile-canary - -",
            "/sealstone-hostile-canary 0 40755 2 0 0 0 0.0 - - -",
            "/sealstone-hostile-canary/sings 4 100644 1 0 0 0 0.0 - dead -",
        ]),
        || RawTar::new().symlink("out", OUTSIDE).file("out/sings", b"dead").end(),
    ),
    layer(
        "a symlink that becomes a folder before it is used",
        Tree(&["/out 0 40755 2 0 0 0 0.0 - - -", "/out/sings 4 100644 1 0 0 0 0.0 - dead -"]),
        || RawTar::new().symlink("out", OUTSIDE).dir("out").file("out/sings", b"dead").end(),
    ),
    layer(
        "a folder that becomes a symlink before it is used",
        Tree(&[
            "/out 25 120777 1 0 0 0 0.0 /sealstone-hostile-canary - -",
            "/sealstone-hostile-canary 0 40755 2 0 0 0 0.0 - - -",
            "/sealstone-hostile-canary/sings 4 100644 1 0 0 0 0.0 - dead -",
        ]),
        || RawTar::new().dir("out").symlink("out", OUTSIDE).file("out/sings", b"dead").end(),
    ),
    layers(
        "a symlink of a lower layer, and a file through it",
        Tree(&["/out 0 40755 2 0 0 0 0.0 - - -", "/out/sings 4 100644 1 0 0 0 0.0 - dead -"]),
        || vec![RawTar::new().symlink("out", OUTSIDE).end(), RawTar::new().file("out/sings", b"dead").end()],
    ),
    layer(
        "a hardlink to a symlink that leads out, and a file through it",
        Tree(&[
            "/a 25 120777 2 0 0 0 0.0 /sealstone-hostile-canary - -",
            "/b 0 @120000 - - - - 0.0 /a - -",
            "/sealstone-hostile-canary 0 40755 2 0 0 0 0.0 - - -",
            "/sealstone-hostile-canary/sings 4 100644 1 0 0 0 0.0 - dead -",
        ]),
        || {
            let link = RawHeader::new(b'1', "b").mode(0o777).link("a");
            RawTar::new().symlink("a", OUTSIDE).entry(link, b"").file("b/sings", b"dead").end()
        },
    ),
    layer("symlinks in a circle", Refused("layer/symlink-loop"), || {
        RawTar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"x").end()
    }),
    layer("a symlink to itself", Refused("layer/symlink-loop"), || {
        RawTar::new().symlink("a", "a").file("a/x", b"x").end()
    }),
    layer("41 symlinks in a row", Refused("layer/symlink-loop"), || chain(41)),
    layer("symlinks that double at each step", Refused("layer/symlink-loop"), || {
        let tar = RawTar::new().dir("d").symlink("d/l0", ".");
        let add = |tar: RawTar, number: usize| {
            tar.symlink(format!("d/l{}", number + 1), format!("l{number}/l{number}"))
        };
        (0..30).fold(tar, add).file("d/l30/x", b"x").end()
    }),
    layer("a tree that symlinks make too deep", Refused("layer/too-big"), deeper_and_deeper),
    layer("a symlink of 4,096 bytes", Refused("layer/too-big"), || {
        RawTar::new().records(&[("linkpath", "t".repeat(4096))]).symlink("a", "x").end()
    }),
    layer("a symlink to nothing", Refused("layer/name"), || RawTar::new().symlink("a", "").end()),
    layer("a hardlink that climbs to the canary", Refused("layer/name"), || {
        RawTar::new().hardlink("a", "../../canary/sings").end()
    }),
    layer("a hardlink to an absolute path", Refused("merge"), || {
        RawTar::new().hardlink("a", format!("{OUTSIDE}/sings")).end()
    }),
    layer("a hardlink to a file of the host", Refused("merge"), || {
        RawTar::new().hardlink("a", "/etc/passwd").end()
    }),
    layer("a hardlink through a symlink that leads out", Refused("merge"), || {
        RawTar::new().symlink("out", "/etc").hardlink("a", "out/passwd").end()
    }),
    layers("a hardlink through a lower layer's symlink that leads out", Refused("merge"), || {
        vec![RawTar::new().symlink("out", "/etc").end(), RawTar::new().hardlink("a", "out/passwd").end()]
    }),
    layer("a hardlink to a folder", Refused("layer/hardlink"), || {
        RawTar::new().dir("d").hardlink("a", "d").end()
    }),
    layers("a hardlink to a lower layer's folder", Refused("merge"), || {
        vec![RawTar::new().dir("d").end(), RawTar::new().hardlink("a", "d").end()]
    }),
    layer("a hardlink to the root", Refused("layer/hardlink"), || RawTar::new().hardlink("a", "/").end()),
    layer("a hardlink to itself", Refused("layer/hardlink"), || {
        RawTar::new().file("a", b"x").hardlink("a", "a").end()
    }),
    layer("a hardlink to a later file", Refused("layer/hardlink"), || {
        RawTar::new().hardlink("a", "b").file("b", b"x").end()
    }),
    layer("a hardlink through a file", Refused("layer/hardlink"), || {
        RawTar::new().file("f", b"x").hardlink("a", "f/x").end()
    }),
    layer("hardlinks in a circle", Refused("layer/hardlink"), || {
        RawTar::new().hardlink("a", "b").hardlink("b", "a").end()
    }),
    layers("hardlinks in a circle of two layers", Refused("merge"), || {
        vec![RawTar::new().hardlink("a", "b").end(), RawTar::new().hardlink("b", "a").end()]
    }),
    layer("a hardlink as the root", Refused("layer/root"), || {
        RawTar::new().file("a", b"x").hardlink(".", "a").end()
    }),
];
