//! What an administrator who wrote `policy.json` may count on.

use std::path::Path;

use proptest::prelude::*;
use sealstone_store::disk::RealDisk;

use super::*;
use crate::{base64::encode_base64, registry::config::testing::Signer};

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER: &str = "sha256:aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const REJECT: &str = r#"[{"type":"reject"}]"#;
const ACCEPT: &str = r#"[{"type":"insecureAcceptAnything"}]"#;

fn parse(json: &str) -> Result<Policy> {
    Policy::parse("/etc/policy.json", json.as_bytes())
}

/// A policy that rejects all but what these scopes of registries say.
fn scopes(scopes: &[(&str, &str)]) -> Policy {
    let scopes: Vec<_> =
        scopes.iter().map(|(scope, requirements)| format!("{scope:?}:{requirements}")).collect();
    parse(&format!(r#"{{"default":{REJECT},"transports":{{"docker":{{{}}}}}}}"#, scopes.join(","))).unwrap()
}

fn name(text: &str) -> ImageName {
    text.parse().unwrap()
}

fn demand(policy: &Policy, image: &str) -> Result<Demand> {
    policy.demand(&RealDisk::shared(), &PolicyScope::registry(&name(image)), &Limits::default())
}

fn denial(result: Result<impl std::fmt::Debug>) -> String {
    match result {
        Err(error @ ImportError::Denied { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A requirement of a signature by this signer, with more fields.
fn signed_by(signer: &Signer, more: &str) -> String {
    let key = encode_base64(signer.pem().as_bytes());
    format!(r#"[{{"type":"sigstoreSigned","keyData":"{key}"{more}}}]"#)
}

#[test]
fn the_most_specific_scope_alone_counts() {
    let policy = scopes(&[
        ("quay.io", ACCEPT),
        ("quay.io/ns", REJECT),
        ("quay.io/ns/os", ACCEPT),
        ("quay.io/ns/os:bad", REJECT),
        ("*.example.com", ACCEPT),
        ("docker.io/library", ACCEPT),
    ]);
    for (image, accepted) in [
        ("quay.io/x/y:1", true),
        ("quay.io/ns/x:1", false),
        ("quay.io/ns/os:1", true),
        ("quay.io/ns/os:bad", false),
        ("quay.io/nsx/os:1", true),
        ("quay.io:443/x:1", false),
        ("a.example.com:5000/x:1", true),
        ("a.b.example.com/x:1", true),
        ("example.com/x:1", false),
        ("debian:12", true),
        ("evil.io/quay.io/ns/os:1", false),
    ] {
        assert_eq!(demand(&policy, image).is_ok(), accepted, "{image}");
    }
    let told = denial(demand(&policy, "quay.io/ns/x:1"));
    let expected =
        r#"quay.io/ns/x:1 is not allowed here: /etc/policy.json (docker, scope "quay.io/ns") rejects it"#;
    assert_eq!(told, expected);
}

#[test]
fn transports_have_defaults_of_their_own() {
    let policy = parse(&format!(
        r#"{{"default":{REJECT},"transports":{{"oci":{{"":{ACCEPT},"/images/bad":{REJECT}}},"docker-archive":{{"":{ACCEPT}}}}}}}"#
    ))
    .unwrap();
    let accepts = |scope: PolicyScope| policy.demand(&RealDisk::shared(), &scope, &Limits::default()).is_ok();
    assert!(accepts(PolicyScope::path("oci", Path::new("/images/good"))));
    assert!(!accepts(PolicyScope::path("oci", Path::new("/images/bad/layout"))));
    assert!(!accepts(PolicyScope::path("dir", Path::new("/images/good"))));
    assert!(accepts(PolicyScope::whole("docker-archive")));
    assert!(!accepts(PolicyScope::whole("containers-storage")));
}

#[test]
fn what_cannot_be_checked_is_denied() {
    let key = encode_base64(Signer::new().pem().as_bytes());
    let with_rekor = format!(r#"{{"type":"sigstoreSigned","keyData":"{key}","rekorPublicKeyPath":"/k"}}"#);
    for requirement in [
        r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/key"}"#,
        r#"{"type":"signedBaseLayer","baseLayerIdentity":{"type":"matchExact"}}"#,
        r#"{"type":"sigstoreSigned","fulcio":{"caPath":"/ca"},"rekorPublicKeyPath":"/k"}"#,
        r#"{"type":"sigstoreSigned","pki":{"caRootsPath":"/ca"}}"#,
        &with_rekor,
    ] {
        for all in
            [format!("[{requirement}]"), format!(r#"[{{"type":"insecureAcceptAnything"}},{requirement}]"#)]
        {
            let told = denial(demand(&scopes(&[("quay.io", &all)]), "quay.io/x:1"));
            assert!(told.contains("cannot be checked here"), "{requirement}: {told}");
        }
    }
}

#[test]
fn a_signed_image_is_taken_with_a_good_signature_and_no_other() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let policy = scopes(&[("quay.io", &signed_by(&signer, ""))]);
    let demand = demand(&policy, "quay.io/ns/os:1").unwrap();
    assert!(demand.needs_signatures());
    let image = name("quay.io/ns/os:1");
    let manifest: ManifestDigest = DIGEST.parse().unwrap();
    let good = signer.claim(DIGEST, "quay.io/ns/os:1");
    let bad = [
        (signer.claim(OTHER, "quay.io/ns/os:1"), "it is over sha256:aa78"),
        (signer.claim(DIGEST, "quay.io/ns/os:2"), "it is for quay.io/ns/os:2"),
        (signer.claim(DIGEST, "quay.io/ns/os"), "it is for quay.io/ns/os"),
        (signer.claim(DIGEST, "not a name"), "no name of an image"),
        (stranger.claim(DIGEST, "quay.io/ns/os:1"), "none of the keys"),
    ];
    for (signature, reason) in &bad {
        let told = denial(demand.check(&image, &manifest, std::slice::from_ref(signature)));
        assert!(told.contains(reason) && told.contains("/etc/policy.json"), "{reason}: {told}");
        demand.check(&image, &manifest, &[signature.clone(), good.clone()]).unwrap();
    }
    assert!(denial(demand.check(&image, &manifest, &[])).contains("it has none"));
    demand.check(&image, &manifest, &[good]).unwrap();
}

#[test]
fn every_requirement_needs_a_signature_of_its_own() {
    let (one, two) = (Signer::new(), Signer::new());
    let both = format!(
        "{},{}",
        signed_by(&one, "").trim_end_matches(']'),
        signed_by(&two, "").trim_start_matches('[')
    );
    let demand = demand(&scopes(&[("quay.io", &both)]), "quay.io/x:1").unwrap();
    let (image, manifest) = (name("quay.io/x:1"), DIGEST.parse().unwrap());
    let [by_one, by_two] = [&one, &two].map(|signer| signer.claim(DIGEST, "quay.io/x:1"));
    denial(demand.check(&image, &manifest, std::slice::from_ref(&by_one)));
    denial(demand.check(&image, &manifest, std::slice::from_ref(&by_two)));
    demand.check(&image, &manifest, &[by_two, by_one]).unwrap();
}

#[test]
fn keys_are_read_from_files_and_a_missing_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::new();
    let [here, missing] =
        ["here.pub", "missing.pub"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&here, signer.pem()).unwrap();
    let identity = r#""signedIdentity":{"type":"matchRepository"}"#;
    for keys in [format!(r#""keyPath":"{here}""#), format!(r#""keyPaths":["{here}"]"#)] {
        let policy = scopes(&[("quay.io", &format!(r#"[{{"type":"sigstoreSigned",{keys},{identity}}}]"#))]);
        let demand = demand(&policy, "quay.io/x:1").unwrap();
        let signature = signer.claim(DIGEST, "quay.io/x");
        demand.check(&name("quay.io/x:1"), &DIGEST.parse().unwrap(), &[signature]).unwrap();
    }
    let keys = format!(r#"[{{"type":"sigstoreSigned","keyPaths":["{here}","{missing}"]}}]"#);
    let error = demand(&scopes(&[("quay.io", &keys)]), "quay.io/x:1").unwrap_err().to_string();
    assert!(error.contains(&missing) && error.contains("/etc/policy.json names it"), "{error}");
}

#[test]
fn a_word_that_is_not_in_the_format_refuses_the_whole_file() {
    let in_docker = |scope: &str, requirements: &str| {
        format!(r#"{{"default":{REJECT},"transports":{{"docker":{{"{scope}":{requirements}}}}}}}"#)
    };
    let signed = |fields: &str| in_docker("quay.io", &format!(r#"[{{"type":"sigstoreSigned"{fields}}}]"#));
    for json in [
        "{}".to_owned(),
        r#"{"default":[]}"#.to_owned(),
        r#"{"default":[{"type":"insecureAcceptAnythng"}]}"#.to_owned(),
        r#"{"default":[{"type":"reject","more":1}]}"#.to_owned(),
        r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#.to_owned(),
        r#"{"default":[{"type":"reject"}],"transport":{}}"#.to_owned(),
        format!(r#"{{"default":{REJECT},"transports":{{"docker":{{"a.io":{REJECT},"a.io":{ACCEPT}}}}}}}"#),
        format!(r#"{{"default":{REJECT},"transports":{{"docker":{{}},"docker":{{"":{ACCEPT}}}}}}}"#),
        format!(r#"{{"default":{REJECT},"transports":{{"dir":{{"images":{ACCEPT}}}}}}}"#),
        format!(r#"{{"default":{REJECT},"transports":{{"dir":{{"/":{ACCEPT}}}}}}}"#),
        format!(r#"{{"default":{REJECT},"transports":{{"oci":{{"/a/../b":{ACCEPT}}}}}}}"#),
        format!(r#"{{"default":{REJECT},"transports":{{"docker-archive":{{"/a":{ACCEPT}}}}}}}"#),
        in_docker("a*.io", ACCEPT),
        in_docker("a.io", "[]"),
        signed(""),
        signed(r#","keyPath":"/a","keyData":"YQ==""#),
        signed(r#","keyPaths":[]"#),
        signed(r#","keyData":"???""#),
        signed(r#","keyPath":"/a","signedIdentity":{"type":"matchAnything"}"#),
        signed(r#","keyPath":"/a","signedIdentity":{"type":"exactReference","dockerReference":"a.io/x"}"#),
        signed(
            r#","keyPath":"/a","signedIdentity":{"type":"remapIdentity","prefix":"a.io/x:1","signedPrefix":"b.io"}"#,
        ),
        signed(r#","keypath":"/a""#),
    ] {
        let error = parse(&json).unwrap_err();
        assert!(matches!(error, ImportError::Config { .. }), "{json}: {error}");
        assert!(error.to_string().starts_with("/etc/policy.json cannot be used: "), "{error}");
    }
    parse(&format!(r#"{{"default":{ACCEPT}}}"#)).unwrap();
}

#[test]
fn a_policy_whose_keys_are_broken_denies_by_an_error() {
    let broken = encode_base64(b"no key");
    let policy = scopes(&[("quay.io", &format!(r#"[{{"type":"sigstoreSigned","keyData":"{broken}"}}]"#))]);
    assert!(matches!(demand(&policy, "quay.io/x:1"), Err(ImportError::Config { .. })));
}

proptest! {
    #[test]
    fn a_policy_that_rejects_by_default_takes_only_what_a_scope_covers(
        allowed in prop::collection::vec("[ab]\\.io(/[ab]){0,3}", 0..4),
        image in "[ab]\\.io(/[ab]){1,3}",
    ) {
        let allowed: std::collections::BTreeSet<_> = allowed.into_iter().collect();
        let entries: Vec<_> = allowed.iter().map(|scope| (scope.as_str(), ACCEPT)).collect();
        let covered = allowed.iter().any(|scope| format!("{image}/").starts_with(&format!("{scope}/")));
        prop_assert_eq!(demand(&scopes(&entries), &format!("{image}:tag")).is_ok(), covered);
    }

    #[test]
    fn any_bytes_are_a_policy_or_an_error(bytes: Vec<u8>) {
        let _ = Policy::parse("policy.json", &bytes);
    }
}
