//! [`Signature`]: a cosign signature over an image, and the [`PublicKey`]s that it is checked with.
//!
//! Format: cosign's `SIGNATURE_SPEC` ("simple signing" payloads): an OCI manifest at the tag [`signature_tag`], whose
//! layers of type [`PAYLOAD_MEDIA_TYPE`] are payloads, each with its signature in [`SIGNATURE_ANNOTATION`]. What lives
//! here: the cryptography (ring's) and the payload. What does not: fetching, and whether the claim fits an image.
//!
//! Invariant: a payload is parsed only after its signature held, and a claim comes out of nothing else.

use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, de::IgnoredAny};

use super::reason::json_reason;
use crate::{
    base64::decode_base64,
    error::{ImportError, Result},
    ids::ManifestDigest,
};

/// The media type of a payload, a layer of the signatures' manifest.
pub const PAYLOAD_MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a payload's descriptor that is its signature, in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// What a payload says of itself.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// DER of a `SubjectPublicKeyInfo` (RFC 5280 §4.1) up to the key, for a point on P-256 (RFC 5480 §2): DER has one
/// encoding of each value, so a comparison of bytes is the whole parser.
pub(super) const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same for Ed25519 (RFC 8410 §4).
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The tag at which an image's signatures are, in its own repository.
#[must_use]
pub fn signature_tag(manifest: &ManifestDigest) -> String {
    format!("{}.sig", manifest.to_string().replace(':', "-"))
}

/// A public key: ECDSA on P-256, or Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// The uncompressed point (65 bytes), or the key (32 bytes).
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    EcdsaP256,
    Ed25519,
}

impl PublicKey {
    /// Reads one key in PEM (`BEGIN PUBLIC KEY`), as `cosign generate-key-pair` writes them. `file` names it in errors.
    ///
    /// # Errors
    /// [`ImportError::Config`] when there is not exactly one key, or it is of another kind (RSA, P-384).
    pub fn from_pem(file: &str, pem: &[u8]) -> Result<Self> {
        let refuse =
            |reason: &str| ImportError::config(file, format!("its public key is unusable: {reason}"));
        let text = str::from_utf8(pem).map_err(|_| refuse("it is not PEM"))?;
        let (_, rest) = text
            .split_once("-----BEGIN PUBLIC KEY-----")
            .ok_or_else(|| refuse("it is not PEM with BEGIN PUBLIC KEY"))?;
        let (body, rest) =
            rest.split_once("-----END PUBLIC KEY-----").ok_or_else(|| refuse("its PEM has no end"))?;
        if rest.contains("-----BEGIN") {
            return Err(refuse("there is more than one key"));
        }
        let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let mut der = Vec::new();
        decode_base64(&body, &mut der).ok_or_else(|| refuse("its PEM is not base64"))?;
        let key = |prefix, length| der.strip_prefix(prefix).filter(|key: &&[u8]| key.len() == length);
        if let Some(point) = key(P256_PREFIX, 65) {
            Ok(Self { kind: KeyKind::EcdsaP256, bytes: point.to_vec() })
        } else if let Some(bytes) = key(ED25519_PREFIX, 32) {
            Ok(Self { kind: KeyKind::Ed25519, bytes: bytes.to_vec() })
        } else {
            Err(refuse("only ECDSA on P-256 and Ed25519 are supported"))
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.kind {
            KeyKind::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            KeyKind::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

/// A signature as it was fetched: believed in nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    payload: Vec<u8>,
    signature: String,
}

/// What a signature says, by somebody whose key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The manifest that is signed.
    pub manifest: ManifestDigest,
    /// The name that the signer gives it: `HOST/REPOSITORY`, with a tag or without.
    pub reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Image {
    docker_manifest_digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Identity {
    docker_reference: String,
}

impl Signature {
    /// A payload with the value of its [`SIGNATURE_ANNOTATION`].
    #[must_use]
    pub fn new(payload: impl Into<Vec<u8>>, signature: impl Into<String>) -> Self {
        Self { payload: payload.into(), signature: signature.into() }
    }

    /// What it claims, if it was made with one of the keys.
    ///
    /// # Errors
    /// The reason, as text: the caller knows which image it is about.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Claim, String> {
        let mut signature = Vec::new();
        decode_base64(self.signature.as_bytes(), &mut signature).ok_or("it is not base64")?;
        if !keys.iter().any(|key| key.signed(&self.payload, &signature)) {
            return Err("it is by none of the keys, or over another payload".to_owned());
        }
        let payload: Payload = serde_json::from_slice(&self.payload)
            .map_err(|error| format!("its payload is malformed: {}", json_reason(&error)))?;
        let Critical { kind, image, identity } = payload.critical;
        if kind != PAYLOAD_TYPE {
            return Err(format!("its payload is no {PAYLOAD_TYPE}"));
        }
        let manifest = image
            .docker_manifest_digest
            .parse()
            .map_err(|error| format!("its payload has a malformed digest: {error}"))?;
        Ok(Claim { manifest, reference: identity.docker_reference })
    }
}

#[cfg(test)]
mod tests;
