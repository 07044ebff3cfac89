//! Signatures as cosign makes and pushes them, by a key made here.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::http::{base64, push_blob, push_manifest};

/// What is before the point in the DER of a public key on P-256 (RFC 5480).
const DER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key pair on P-256.
pub struct Signer(EcdsaKeyPair);

impl Default for Signer {
    fn default() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random);
        Self(key.expect("a key"))
    }
}

impl Signer {
    /// The public key in PEM.
    pub fn public_key(&self) -> String {
        let der = [&DER, self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der, false))
    }

    /// Signs `manifest` for `name`, and pushes the signature beside it.
    pub fn sign_and_push(&self, host: &str, repository: &str, manifest: &str, name: &str) {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": manifest},
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        let signature = self.0.sign(&SystemRandom::new(), payload.as_bytes()).expect("a signature");
        let config = push_blob(host, repository, b"{}");
        let digest = push_blob(host, repository, payload.as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let document = json!({
            "schemaVersion": 2, "mediaType": kind,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": digest, "size": payload.len(),
                "annotations": {"dev.cosignproject.cosign/signature": base64(signature.as_ref(), false)},
            }],
        });
        let tag = format!("{}.sig", manifest.replace(':', "-"));
        push_manifest(host, repository, &tag, kind, document.to_string().as_bytes());
    }
}
