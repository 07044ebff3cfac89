//! Content digests as OCI writes them: `sha256:` or `sha512:` and lower-case hexadecimal digits.
//!
//! Source: image-spec, descriptor.md, "Digests" (the two registered algorithms). What never happens here: a digest that
//! travels as text. It is parsed at the border, so a path or a comparison can only ever see checked bytes.

use std::{fmt, str::FromStr};

use sha2::Digest as _;

/// The algorithm of a content digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// `sha256`.
    Sha256,
    /// `sha512`.
    Sha512,
}

impl DigestAlgorithm {
    /// The name before the colon, and of the folder below `blobs/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// The digest of some bytes, as a descriptor or a config gives it, or as we computed it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// A SHA-256.
    Sha256([u8; 32]),
    /// A SHA-512.
    Sha512([u8; 64]),
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: DigestAlgorithm, bytes: &[u8]) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(sha2::Sha256::digest(bytes).into()),
            DigestAlgorithm::Sha512 => Self::Sha512(sha2::Sha512::digest(bytes).into()),
        }
    }

    /// Which algorithm made it.
    #[must_use]
    pub const fn algorithm(&self) -> DigestAlgorithm {
        match self {
            Self::Sha256(_) => DigestAlgorithm::Sha256,
            Self::Sha512(_) => DigestAlgorithm::Sha512,
        }
    }

    /// The digest's 32 or 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The digits after the colon: 64 or 128.
    #[must_use]
    pub fn to_hex(&self) -> String {
        const DIGITS: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        self.as_bytes()
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
            .collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().name(), self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}…", self.algorithm().name(), self.to_hex().get(..12).unwrap_or_default())
    }
}

/// Why a text is not a digest that we can check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// There is no colon.
    #[error("a digest is ALGORITHM:DIGITS, this is {0:?}")]
    NoAlgorithm(String),
    /// Neither sha256 nor sha512.
    #[error("digest algorithm {0:?} is not sha256 or sha512")]
    Algorithm(String),
    /// Not as many digits as the algorithm has, or a character outside `0-9a-f`.
    #[error("{0:?} are not the lower-case hexadecimal digits of the digest's algorithm")]
    Digits(String),
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = |text: &str| text.chars().take(160).collect::<String>();
        let (algorithm, digits) =
            text.split_once(':').ok_or_else(|| ParseDigestError::NoAlgorithm(shown(text)))?;
        let parsed = match algorithm {
            "sha256" => parse_hex(digits).map(Self::Sha256),
            "sha512" => parse_hex(digits).map(Self::Sha512),
            other => return Err(ParseDigestError::Algorithm(shown(other))),
        };
        parsed.ok_or_else(|| ParseDigestError::Digits(shown(digits)))
    }
}

fn parse_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (place, [high, low]) in bytes.iter_mut().zip(pairs) {
        *place = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

/// Computes a digest while bytes stream by.
#[derive(Clone)]
pub struct DigestHasher(State);

#[derive(Clone)]
enum State {
    Sha256(sealstone_store::Sha256),
    Sha512(sha2::Sha512),
}

impl DigestHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Sha256 => State::Sha256(sealstone_store::Sha256::new()),
            DigestAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Takes the next bytes, and `other` those of its own: in less time than one after the other, if both are SHA-256.
    pub fn update_both(&mut self, bytes: &[u8], other: &mut Self, other_bytes: &[u8]) {
        if let (State::Sha256(state), State::Sha256(other)) = (&mut self.0, &mut other.0) {
            return sealstone_store::Sha256::update_both((state, bytes), (other, other_bytes));
        }
        self.update(bytes);
        other.update(other_bytes);
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest::Sha256(state.finish()),
            State::Sha512(state) => Digest::Sha512(state.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example: the digest of `abc`.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_prints_as_it_was_parsed() {
        let digest: Digest = ABC.parse().unwrap();
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(digest, Digest::of(DigestAlgorithm::Sha256, b"abc"));
        let long = Digest::of(DigestAlgorithm::Sha512, b"abc");
        assert_eq!(long.to_string().parse(), Ok(long));
    }

    #[test]
    fn streaming_gives_the_digest_of_the_whole() {
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let mut hasher = DigestHasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), Digest::of(algorithm, b"abc"));
        }
    }

    #[test]
    fn what_could_walk_out_of_a_folder_or_is_unknown_is_no_digest() {
        for bad in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../../../etc/passwd",
            "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
