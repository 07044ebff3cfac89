//! Any bytes as a `registries.conf`: refused, or endpoints that are hosts with repositories, the registry's own last.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::registry::config::RegistriesConf;

fuzz_target!(|input: &[u8]| {
    let Ok(settings) = RegistriesConf::parse("registries.conf", input) else { return };
    assert!(!settings.credential_sources().is_empty());
    let mut twice = settings.clone();
    twice.overlay(settings.clone());
    for (host, repository) in [("example.com", "foo/image"), ("a.example.com:5000", "x"), ("docker.io", "library/x")] {
        for by_digest in [false, true] {
            let endpoints = settings.resolve(host, repository, by_digest);
            if let Ok(endpoints) = &endpoints {
                assert!(endpoints.iter().rev().skip(1).all(|endpoint| endpoint.is_mirror));
                assert!(endpoints.last().is_some_and(|endpoint| !endpoint.is_mirror));
                assert!(endpoints.iter().all(|endpoint| {
                    !endpoint.host.is_empty() && !endpoint.host.contains('/') && !endpoint.repository.is_empty()
                }));
            }
            assert_eq!(twice.resolve(host, repository, by_digest).ok(), endpoints.ok());
        }
    }
});
