//! Keys and signatures: some made by OpenSSL, which knows nothing of us, the rest made here.

use super::*;
use crate::registry::config::testing::Signer;

const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUc+ktsU9uNjpWo9VwIwDq/+S/6NF
NxDpdUFGyfzxFkt/yQg9nhc9wQBqFlDm8fTV/Jgotd7YqYyjVsvg3tUF2A==
-----END PUBLIC KEY-----
";
const ED25519_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAxPPkcuCsMNOu61gsx9UIg1zPH+cbOoxSmxoTZwL5eMY=
-----END PUBLIC KEY-----
";
const P384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEeHkAsXeOSxVHitcvZSUC4p/VWuFmsm/q
TCCRcozxGhLaDTkdU0e077C8joesXlt6xZA1hpIvoLyYFPRM8tGIZ/qwfGh9XZge
QzlJRpBR+55m5usmHSyvlbtlHqwsW1YQ
-----END PUBLIC KEY-----
";
const PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"quay.io/ns/os"},"image":{"docker-manifest-digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},"type":"cosign container image signature"},"optional":null}"#;
/// `openssl dgst -sha256 -sign`, and `openssl pkeyutl -sign -rawin`.
const BY_P256: &str =
    "MEYCIQCkZEeTvt7er2xakJqFfd2fSISd9odIr4+PmtcG31JWQwIhAMDI4Rup1QcXY4VLFcyF5GIEM9vJXQHR66cfMJZtXBEK";
const BY_ED25519: &str =
    "KKe9OmgpJwqR+Z4bLvchqmFUO0nXHgP4G7SgurqeKIS3uR/8gd75a/rShN3chVTcaQHT5B8zzbA0XQlH2vUbCw==";

fn key(pem: &str) -> PublicKey {
    PublicKey::from_pem("key.pub", pem.as_bytes()).unwrap()
}

#[test]
fn what_openssl_signed_is_a_claim_by_its_key_alone() {
    let keys = [key(P256), key(ED25519_KEY)];
    for (own, signature) in [(0, BY_P256), (1, BY_ED25519)] {
        let signature = Signature::new(PAYLOAD, signature);
        for known in [&keys[own..=own], &keys[..]] {
            let claim = signature.verify(known).unwrap();
            assert_eq!(claim.reference, "quay.io/ns/os");
            assert_eq!(
                signature_tag(&claim.manifest),
                "sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.sig"
            );
        }
        assert!(signature.verify(&keys[1 - own..2 - own]).unwrap_err().contains("none of the keys"));
        assert!(signature.verify(&[]).unwrap_err().contains("none of the keys"));
    }
}

#[test]
fn no_byte_of_a_payload_or_signature_may_change() {
    let keys = [key(P256), key(ED25519_KEY)];
    for by in [BY_P256, BY_ED25519] {
        for at in 0..PAYLOAD.len() {
            let mut payload = PAYLOAD.as_bytes().to_vec();
            payload[at] ^= 1;
            assert!(Signature::new(payload, by).verify(&keys).is_err(), "byte {at}");
        }
        let mut bytes = Vec::new();
        decode_base64(by.as_bytes(), &mut bytes).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = crate::base64::encode_base64(&changed);
            assert!(Signature::new(PAYLOAD, changed).verify(&keys).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_by_its_files_name() {
    let two = format!("{P256}{ED25519_KEY}");
    let cut = P256.replace("MFkwEwYH", "MFkwEw");
    let private = P256.replace("PUBLIC", "PRIVATE");
    for (pem, reason) in [
        (P384, "only ECDSA on P-256"),
        (two.as_str(), "more than one"),
        (&cut, "unusable"),
        (&private, "BEGIN PUBLIC KEY"),
        ("-----BEGIN PUBLIC KEY-----\nMFkw", "no end"),
        ("", "BEGIN PUBLIC KEY"),
    ] {
        let error = PublicKey::from_pem("/etc/key.pub", pem.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("/etc/key.pub cannot be used") && error.contains(reason), "{error}");
    }
}

#[test]
fn a_payload_that_two_readers_could_read_differently_claims_nothing() {
    let signer = Signer::new();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (from, to, reason) in [
        ("\"optional\":null", "\"optional\":{\"creator\":\"x\"}", ""),
        ("\"optional\":null", "\"other\":1", "malformed"),
        ("\"optional\":null", "\"critical\":{}", "malformed"),
        ("cosign container image signature", "atomic container signature", "is no cosign"),
        ("\"type\":", "\"type\":\"x\",\"type\":", "malformed"),
        (digest, "sha256:ab", "malformed digest"),
        (digest, "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "malformed digest"),
        ("\"docker-reference\"", "\"docker-name\"", "malformed"),
    ] {
        let claim = signer.sign(&PAYLOAD.replace(from, to)).verify(&[signer.key()]);
        if reason.is_empty() {
            claim.unwrap();
        } else {
            assert!(claim.unwrap_err().contains(reason), "{to}");
        }
    }
}
