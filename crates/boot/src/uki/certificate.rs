//! Certificates (X.509) by which signatures are believed, and the signatures of their keys.
//!
//! What lives here: reading them, and whether one leads to another that is trusted. What does not: Authenticode, when
//! certificates end: firmware looks at no clock, and neither is one asked here.
//! Invariant: a certificate is believed only if it is one of those given, or if one of those given has signed it, over
//! at most [`CHAIN_MAX`] others that may sign certificates.

use der::{Decode, Encode};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::ext::pkix::BasicConstraints;

use super::authenticode::Hash;
use crate::BootError;

/// The most certificates between one that signs images and one that is trusted.
const CHAIN_MAX: usize = 4;

const BASIC_CONSTRAINTS: &str = "2.5.29.19";

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(x509_cert::Certificate);

impl Certificate {
    /// Reads the certificates of a file: one as DER, or any number as PEM; `name` is for messages.
    ///
    /// # Errors
    /// [`BootError::Malformed`] when there is none.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Vec<Self>, BootError> {
        let malformed = |error: der::Error| BootError::malformed(name, error.to_string());
        let found = if bytes.starts_with(b"-----") {
            x509_cert::Certificate::load_pem_chain(bytes).map_err(malformed)?
        } else {
            vec![x509_cert::Certificate::from_der(bytes).map_err(malformed)?]
        };
        if found.is_empty() {
            return Err(BootError::malformed(name, "there is no certificate in it"));
        }
        Ok(found.into_iter().map(Self).collect())
    }

    pub(super) const fn of(certificate: x509_cert::Certificate) -> Self {
        Self(certificate)
    }

    pub(super) const fn inner(&self) -> &x509_cert::Certificate {
        &self.0
    }

    /// Who it is of, as RFC 4514 writes it.
    #[must_use]
    pub fn subject(&self) -> String {
        self.0.tbs_certificate.subject.to_string()
    }

    /// Whether its key made this signature of these bytes.
    pub(super) fn has_signed(&self, scheme: Option<Scheme>, bytes: &[u8], signature: &[u8]) -> bool {
        let key = self.0.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
        scheme.is_some_and(|scheme| {
            UnparsedPublicKey::new(scheme.algorithm(), key).verify(bytes, signature).is_ok()
        })
    }

    /// Whether it is one of `trusted`, or leads to one over those of `others`.
    pub(super) fn leads_to(&self, trusted: &[Self], others: &[Self]) -> bool {
        let mut reached = vec![self];
        for _ in 0..=CHAIN_MAX {
            if reached.iter().any(|certificate| trusted.contains(certificate)) {
                return true;
            }
            let known = || trusted.iter().chain(others);
            let issuers = reached
                .iter()
                .flat_map(|certificate| known().filter(move |issuer| issuer.has_issued(certificate)));
            reached = issuers.collect();
            // Not more than there are: certificates that sign each other are no way further.
            reached.truncate(trusted.len() + others.len());
        }
        false
    }

    fn has_issued(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.0.tbs_certificate, &other.0.tbs_certificate);
        let scheme = Scheme::of_oid(&other.0.signature_algorithm.oid.to_string());
        let (Ok(bytes), Some(signature)) = (theirs.to_der(), other.0.signature.as_bytes()) else {
            return false;
        };
        ours.subject == theirs.issuer && self.may_issue() && self.has_signed(scheme, &bytes, signature)
    }

    fn may_issue(&self) -> bool {
        let mut extensions = self.0.tbs_certificate.extensions.iter().flatten();
        let found = extensions.find(|extension| extension.extn_id.to_string() == BASIC_CONSTRAINTS);
        let constraints = found.map(|found| BasicConstraints::from_der(found.extn_value.as_bytes()));
        constraints.is_some_and(|constraints| constraints.is_ok_and(|constraints| constraints.ca))
    }
}

/// A way of signing: a kind of key with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Rsa(Hash),
    P256,
    P384,
}

impl Scheme {
    /// The scheme that an algorithm's number names with its hash.
    pub(super) fn of_oid(oid: &str) -> Option<Self> {
        Some(match oid {
            "1.2.840.113549.1.1.11" => Self::Rsa(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::Rsa(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::Rsa(Hash::Sha512),
            "1.2.840.10045.4.3.2" => Self::P256,
            "1.2.840.10045.4.3.3" => Self::P384,
            _ => return None,
        })
    }

    /// The scheme that it names beside a hash, as PKCS#7 has it: RSA alone, or as [`of_oid`](Self::of_oid).
    pub(super) fn with_hash(oid: &str, hash: Hash) -> Option<Self> {
        if oid == "1.2.840.113549.1.1.1" {
            return Some(Self::Rsa(hash));
        }
        let scheme = Self::of_oid(oid)?;
        let of_scheme = match scheme {
            Self::Rsa(hash) => hash,
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
        };
        (of_scheme == hash).then_some(scheme)
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rsa(Hash::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rsa(Hash::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rsa(Hash::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
        }
    }
}
