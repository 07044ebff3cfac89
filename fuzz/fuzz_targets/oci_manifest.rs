//! Any bytes as a document: refused, or one kind of document whatever it was announced as (CVE-2021-41190).

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::oci::{Document, MediaType};

fuzz_target!(|input: &[u8]| {
    let unannounced = Document::parse(input, None);
    let as_manifest = Document::parse(input, Some(&MediaType::Manifest));
    let as_index = Document::parse(input, Some(&MediaType::Index));
    assert!(!matches!(as_manifest, Ok(Document::Index(_))));
    assert!(!matches!(as_index, Ok(Document::Manifest(_))));
    assert!(as_manifest.is_err() || as_index.is_err());
    for announced in [as_manifest, as_index].into_iter().flatten() {
        assert_eq!(unannounced.as_ref(), Ok(&announced));
    }
});
