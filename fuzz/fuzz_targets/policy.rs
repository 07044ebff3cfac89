//! Any bytes as a `policy.json`: refused, or a demand for each image, of which no unsigned image meets one for signatures.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    Digest, DigestAlgorithm, Limits, ManifestDigest,
    registry::config::{ImageName, Policy, PolicyScope, Signature},
};
use sealstone_store::disk::{Disk, RealDisk};

static DISK: LazyLock<Arc<dyn Disk>> = LazyLock::new(RealDisk::shared);

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(name) = text.parse::<ImageName>()
    {
        assert_eq!(name.to_string().parse::<ImageName>(), Ok(name));
    }
    // Paths of keys are the policy's to choose: none is opened here.
    if input.windows(7).any(|word| word == b"keyPath") {
        return;
    }
    let Ok(policy) = Policy::parse("policy.json", input) else { return };
    let manifest: ManifestDigest = Digest::of(DigestAlgorithm::Sha256, b"").to_string().parse().expect("a digest");
    for image in ["quay.io/ns/os:1", "a.example.com:5000/x:1", "debian"] {
        let name: ImageName = image.parse().expect("a name");
        let Ok(demand) = policy.demand(&DISK, &PolicyScope::registry(&name), &Limits::default()) else { continue };
        for signatures in [vec![], vec![Signature::new("{}", "YQ==")]] {
            assert_eq!(demand.check(&name, &manifest, &signatures).is_err(), demand.needs_signatures());
        }
    }
});
