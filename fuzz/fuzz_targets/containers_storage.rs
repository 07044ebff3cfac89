//! Any bytes as the lists of images and layers in podman's storage: refused, or lookups that end, with chains within the
//! bound for layers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    Limits,
    source::containers_storage::{StorageImages, StorageLayers, StorageReference},
};

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(reference) = text.parse::<StorageReference>()
    {
        let again = reference.to_string();
        assert_eq!(again.strip_prefix("containers-storage:").expect("its transport").parse(), Ok(reference));
    }
    if let Ok(images) = StorageImages::parse(input) {
        for text in ["a", "aaa", "@aaa", "localhost/a:1", "a:1@aaa", "quay.io/a/b"] {
            let reference: StorageReference = text.parse().expect("a reference");
            if let Ok(found) = images.find(&reference) {
                assert!(found.is_by_id || found.name.is_some());
            }
        }
    }
    if let Ok(layers) = StorageLayers::parse(input) {
        let mut limits = Limits::default();
        limits.layers = 8;
        for top in [None, Some(""), Some("a"), Some("b")] {
            if let Ok(chain) = layers.chain(top, "the storage", &limits) {
                assert!(chain.len() <= 8);
            }
        }
    }
});
