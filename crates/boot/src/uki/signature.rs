//! The signature of a PE image (PKCS#7 with Authenticode's content): whether one holds, and whose it is.
//!
//! What lives here: the steps from the image's digest to a certificate that is trusted. What does not: reading ASN.1 (the
//! crates `cms`, `der` and `x509-cert`), arithmetic (`ring`), whom to trust (the caller).
//! Invariants: the signature is over the digest that was computed here, and over nothing that is not checked; hostile input
//! gives an error.

use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{Any, Decode, Encode, Reader, Sequence, SliceReader, asn1::OctetString};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{
    authenticode::{Hash, image_digest, signatures},
    certificate::{Certificate, Scheme},
    pe::Pe,
    read_at::ReadAt,
};
use crate::BootError;

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const INDIRECT_DATA: &str = "1.3.6.1.4.1.311.2.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";

/// The most certificates in a signature that are looked at.
const CERTIFICATES_MAX: usize = 16;

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose it is: the subject of the certificate.
    pub by: String,
    /// How many signatures the file has, this one included.
    pub signatures: usize,
}

/// What Authenticode signs.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct IndirectData {
    data: Any,
    digest: DigestInfo,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

/// Checks that a PE image is signed by one whom the caller trusts: at least one of its signatures holds, as firmware wants it.
///
/// # Errors
/// [`BootError::Untrusted`] with the reason why none holds, [`BootError::Malformed`] when it is no image or its signatures are
/// not its end, and the disk's errors.
pub fn verify_signature(file: &dyn ReadAt, name: &str, trusted: &[Certificate]) -> Result<Signed, BootError> {
    let pe = Pe::read(file, name)?;
    let found = signatures(file, &pe, name)?;
    let mut reason = "it is not signed".to_owned();
    for signature in &found {
        match verify(file, &pe, name, signature, trusted) {
            Ok(by) => return Ok(Signed { by, signatures: found.len() }),
            Err(Refusal::Here(error)) => return Err(error),
            Err(Refusal::Because(why)) => reason = why,
        }
    }
    Err(BootError::Untrusted { what: name.to_owned(), reason })
}

/// The digest of all of a PE image but its signatures, by which what a signer wrote is known for what it got. Counted as signers
/// do, who fill an image up to eight bytes first.
///
/// # Errors
/// [`BootError::Malformed`] when it is no image, and the disk's errors.
pub fn unsigned_digest(file: &dyn ReadAt, name: &str) -> Result<Vec<u8>, BootError> {
    image_digest(file, &Pe::read(file, name)?, name, Hash::Sha256)
}

/// Why a signature does not hold, or why that cannot be told.
enum Refusal {
    Because(String),
    Here(BootError),
}

impl From<BootError> for Refusal {
    fn from(error: BootError) -> Self {
        Self::Here(error)
    }
}

impl From<der::Error> for Refusal {
    fn from(error: der::Error) -> Self {
        Self::Because(format!("its signature cannot be read: {error}"))
    }
}

fn because(reason: &str) -> Refusal {
    Refusal::Because(reason.to_owned())
}

fn verify(
    file: &dyn ReadAt,
    pe: &Pe,
    name: &str,
    signature: &[u8],
    trusted: &[Certificate],
) -> Result<String, Refusal> {
    let content = ContentInfo::from_der(without_padding(signature)?)?;
    if content.content_type.to_string() != SIGNED_DATA {
        return Err(because("its signature is of another kind"));
    }
    let message: SignedData = content.content.decode_as()?;
    let [signer] = message.signer_infos.0.as_slice() else {
        return Err(because("its signature has not one signer"));
    };
    let wrapped = &message.encap_content_info;
    let inner = wrapped.econtent.as_ref().filter(|_| wrapped.econtent_type.to_string() == INDIRECT_DATA);
    let inner = inner.ok_or_else(|| because("its signature is not of a PE image"))?;
    let indirect: IndirectData = inner.decode_as()?;
    let hash = hash_of(&indirect.digest.algorithm)?;
    if image_digest(file, pe, name, hash)? != indirect.digest.digest.as_bytes() {
        return Err(because("it is not what was signed"));
    }
    check_attributes(signer, inner.value())?;
    let certificates: Vec<Certificate> = message
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(Certificate::of(certificate.clone())),
            CertificateChoices::Other(_) => None,
        })
        .take(CERTIFICATES_MAX)
        .collect();
    let certificate = signer_of(signer, certificates.iter().chain(trusted))?;
    let attributes = signer.signed_attrs.as_ref().map(Encode::to_der).transpose()?.unwrap_or_default();
    let scheme = hash_of(&signer.digest_alg)
        .map(|hash| Scheme::with_hash(&signer.signature_algorithm.oid.to_string(), hash))?;
    if !certificate.has_signed(scheme, &attributes, signer.signature.as_bytes()) {
        return Err(because("its signature is wrong"));
    }
    if !certificate.leads_to(trusted, &certificates) {
        return Err(Refusal::Because(format!(
            "it is signed by {}, who is not trusted",
            certificate.subject()
        )));
    }
    Ok(certificate.subject())
}

/// The signature without the zeros that fill it up to eight bytes.
fn without_padding(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let header = SliceReader::new(bytes)?.peek_header()?;
    let size = u32::from(header.encoded_len()?).saturating_add(u32::from(header.length));
    let (content, padding) =
        bytes.split_at_checked(size as usize).ok_or_else(|| because("its signature ends early"))?;
    if padding.len() >= 8 || padding.iter().any(|byte| *byte != 0) {
        return Err(because("there is something behind its signature"));
    }
    Ok(content)
}

fn hash_of(algorithm: &AlgorithmIdentifierOwned) -> Result<Hash, Refusal> {
    match algorithm.oid.to_string().as_str() {
        "2.16.840.1.101.3.4.2.1" => Ok(Hash::Sha256),
        "2.16.840.1.101.3.4.2.2" => Ok(Hash::Sha384),
        "2.16.840.1.101.3.4.2.3" => Ok(Hash::Sha512),
        other => Err(Refusal::Because(format!("its signature uses the hash {other}, which is not taken"))),
    }
}

/// What the signer signed says that it is of this content.
fn check_attributes(signer: &SignerInfo, content: &[u8]) -> Result<(), Refusal> {
    let attribute = |oid: &str| {
        let mut found = signer.signed_attrs.iter().flat_map(|attributes| attributes.iter());
        let values =
            found.find(|attribute| attribute.oid.to_string() == oid).map(|found| found.values.as_slice());
        match values {
            Some([value]) => Ok(value),
            _ => Err(because("its signature lacks an attribute")),
        }
    };
    let digest: OctetString = attribute(MESSAGE_DIGEST)?.decode_as()?;
    let kind: der::asn1::ObjectIdentifier = attribute(CONTENT_TYPE)?.decode_as()?;
    let is_of_content = digest.as_bytes() == hash_of(&signer.digest_alg)?.of(content);
    if is_of_content && kind.to_string() == INDIRECT_DATA {
        return Ok(());
    }
    Err(because("its signature is of something else"))
}

fn signer_of<'a>(
    signer: &SignerInfo,
    mut certificates: impl Iterator<Item = &'a Certificate>,
) -> Result<&'a Certificate, Refusal> {
    let SignerIdentifier::IssuerAndSerialNumber(id) = &signer.sid else {
        return Err(because("its signer is named in no way that is known"));
    };
    let is_meant = |certificate: &&Certificate| {
        let body = &certificate.inner().tbs_certificate;
        body.issuer == id.issuer && body.serial_number == id.serial_number
    };
    certificates.find(is_meant).ok_or_else(|| because("the certificate of its signer is not there"))
}
