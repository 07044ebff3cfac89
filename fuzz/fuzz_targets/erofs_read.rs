//! Any bytes as an EROFS image: the reader refuses them or gives a tree; what we write of it reads back as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_store::erofs::{self, Image};

fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = Image::open(bytes) else { return };
    let objects = image.objects();
    let Ok(tree) = image.to_tree() else { return };
    // What has a tree can be marked by gc.
    let objects = objects.expect("objects of an image with a tree");
    let written = erofs::write(&tree).expect("an image of a tree that was in one");
    let image = Image::open(&written).expect("our own image");
    assert!(objects.len() >= image.objects().expect("objects of our own image").len());
    let again = image.to_tree().expect("the tree of our own image");
    assert!(erofs::write(&again).expect("the same image again") == written);
});
