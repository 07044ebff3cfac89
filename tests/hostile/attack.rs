//! One attack: its name, how it is made, and what has to become of it.

use super::layout::Layout;

/// What attacks with absolute paths aim at. Nothing may ever be there.
pub const OUTSIDE: &str = "/sealstone-hostile-canary";

/// How an attack is made.
pub enum Make {
    /// The tar of an image's one layer.
    Layer(fn() -> Vec<u8>),
    /// The tars of an image's layers, lowest first.
    Layers(fn() -> Vec<Vec<u8>>),
    /// The blob of an image's one layer, and its tar.
    Blob(fn() -> (Vec<u8>, Vec<u8>)),
    /// Anything in a layout's folder.
    Layout(fn(&Layout)),
    /// The bytes of an archive, made from a good layout.
    Archive(fn(&Layout) -> Vec<u8>),
}

/// What has to become of an attack.
pub enum Expect {
    /// Refused: `error`, or `error/rule`, of the document `sealstone.import-refusal/1`.
    Refused(&'static str),
    /// Taken: the lines of `store dump` below the root's, exactly.
    Tree(&'static [&'static str]),
    /// Taken, with so many lines, of which one starts with this.
    Lines(usize, &'static str),
}

/// An image made to do harm.
pub struct Attack {
    pub name: &'static str,
    pub make: Make,
    pub expect: Expect,
}

const fn attack(name: &'static str, make: Make, expect: Expect) -> Attack {
    Attack { name, make, expect }
}

pub const fn layer(name: &'static str, expect: Expect, tar: fn() -> Vec<u8>) -> Attack {
    attack(name, Make::Layer(tar), expect)
}

pub const fn layers(name: &'static str, expect: Expect, tars: fn() -> Vec<Vec<u8>>) -> Attack {
    attack(name, Make::Layers(tars), expect)
}

pub const fn blob(name: &'static str, expect: Expect, blob: fn() -> (Vec<u8>, Vec<u8>)) -> Attack {
    attack(name, Make::Blob(blob), expect)
}

pub const fn layout(name: &'static str, expect: Expect, write: fn(&Layout)) -> Attack {
    attack(name, Make::Layout(write), expect)
}

pub const fn archive(name: &'static str, expect: Expect, pack: fn(&Layout) -> Vec<u8>) -> Attack {
    attack(name, Make::Archive(pack), expect)
}
