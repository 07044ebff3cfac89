//! Any bytes as the `manifest.json` of a docker-archive: refused, or every image in it is found by every name that it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::source::{Choice, DockerManifest};

fuzz_target!(|input: &[u8]| {
    let Ok(manifest) = DockerManifest::parse(input) else { return };
    let place = "docker-archive:x";
    let _ = manifest.find(&Choice::Only, place);
    for at in 0.. {
        let Ok(image) = manifest.find(&Choice::Index(at), place) else { break };
        for name in image.repo_tags.iter().flatten() {
            let found = manifest.find(&Choice::Tag(name.clone()), place).expect("it has the name");
            assert!(at > 0 || found == image);
        }
    }
});
