//! Any bytes as a dump: the parser refuses them or gives a tree, whose dump is the same for good, and an image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_store::{
    dump::{self, Dump},
    erofs,
};

fuzz_target!(|text: &[u8]| {
    let Ok(tree) = dump::parse(text) else { return };
    let text = Dump::new(&tree).to_string();
    let again = dump::parse(text.as_bytes()).expect("our own dump");
    assert!(Dump::new(&again).to_string() == text);
    erofs::write(&tree).expect("an image of a small tree");
});
