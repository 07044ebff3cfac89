//! Any bytes as an EROFS image, of V1 or V2: the reader refuses them or gives a tree; what we write of it in the same
//! format reads back as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_store::erofs::{self, Image};

fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = Image::open(bytes) else { return };
    let objects = image.objects();
    let Ok(tree) = image.to_tree() else { return };
    // What has a tree can be marked by gc.
    let objects = objects.expect("objects of an image with a tree");
    let version = image.format().version().expect("a format that gives trees");
    let written = erofs::write_version(&tree, version).expect("an image of a tree that was in one");
    let image = Image::open(&written).expect("our own image");
    assert!(objects.len() >= image.objects().expect("objects of our own image").len());
    let again = image.to_tree().expect("the tree of our own image");
    assert!(erofs::write_version(&again, version).expect("the same image again") == written);
});
