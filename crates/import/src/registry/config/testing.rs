//! A signer for tests: keys of its own, payloads as cosign writes them.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};

use super::sigstore::{PublicKey, Signature};
use crate::base64::encode_base64;

/// A key pair on P-256.
pub(super) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap())
    }

    /// The public key in PEM.
    pub(super) fn pem(&self) -> String {
        let mut der = super::sigstore::P256_PREFIX.to_vec();
        der.extend_from_slice(self.0.public_key().as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", encode_base64(&der))
    }

    pub(super) fn key(&self) -> PublicKey {
        PublicKey::from_pem("key.pub", self.pem().as_bytes()).unwrap()
    }

    pub(super) fn sign(&self, payload: &str) -> Signature {
        let signature = self.0.sign(&SystemRandom::new(), payload.as_bytes()).unwrap();
        Signature::new(payload, encode_base64(signature.as_ref()))
    }

    /// A signature over a manifest's digest, for a name.
    pub(super) fn claim(&self, manifest: &str, reference: &str) -> Signature {
        self.sign(&format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{manifest}"}},"type":"cosign container image signature"}},"optional":null}}"#
        ))
    }
}
