//! Any bytes as an auth file: refused, or credentials by the rule of the longest key; a secret never shows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::registry::config::{AuthFile, Credentials, Lookup};

fuzz_target!(|input: &[u8]| {
    let _ = AuthFile::parse_dockercfg(".dockercfg", input);
    let Ok(file) = AuthFile::parse("auth.json", input) else { return };
    let host = file.lookup("quay.io", "").unwrap_or_default();
    for (host, repository) in [("quay.io", "ns/repo"), ("docker.io", "library/debian"), ("[::1]:5000", "x")] {
        let Ok(Some(found)) = file.lookup(host, repository) else { continue };
        match &found {
            Lookup::Helper(request) => {
                assert!(request.program().starts_with("docker-credential-") && !request.program().contains('/'));
            }
            Lookup::Credentials(credentials) => {
                assert!(!credentials.is_empty());
                assert_eq!(credentials.basic().is_some(), matches!(credentials, Credentials::User { .. }));
            }
        }
    }
    // What the host has is good for each repository that has no key of its own.
    if let Some(host) = host {
        let other = file.lookup("quay.io", "no-such/repository");
        assert!(matches!(&other, Ok(Some(found)) if *found == host), "{other:?} {host:?}");
    }
});
