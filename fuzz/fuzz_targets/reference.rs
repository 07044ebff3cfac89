//! Any text as a reference: refused, or one that prints as a text that means the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{registry::RegistryReference, source::Reference};

fuzz_target!(|input: &str| {
    if let Ok(reference) = input.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().expect("its own text"), reference);
    }
    for transport in ["docker", "oci"] {
        if let Ok(reference) = format!("{transport}://{input}").parse::<RegistryReference>() {
            assert_eq!(reference.to_string().parse::<RegistryReference>().expect("its own text"), reference);
            assert!(reference.tag().is_some() || reference.digest().is_some());
            assert!(!reference.repository().split('/').any(|part| matches!(part, "" | "." | "..")));
        }
    }
});
