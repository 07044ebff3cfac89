//! Any bytes as an index: refused, or descriptors whose every digest is whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    Digest,
    oci::{Index, Platform},
};

fuzz_target!(|input: &[u8]| {
    if let Ok(index) = Index::parse(input) {
        let native = Platform::native();
        for descriptor in &index.manifests {
            assert_eq!(descriptor.digest().to_string().parse::<Digest>(), Ok(*descriptor.digest()));
            let _ = (descriptor.media_type().to_string(), descriptor.ref_name());
            if let Some(platform) = descriptor.platform() {
                assert_eq!(platform.rank(platform), Some(0));
                let _ = (native.rank(platform), platform.to_string());
            }
        }
    }
});
