//! The id of an object: the fs-verity digest of its content.
//!
//! One concrete type for both algorithms, so that nothing above carries a type parameter. Only a computed digest or a
//! parsed name makes one; there is no conversion from or to the other ids of the field (blob digest, diff_id, image).

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::{Algorithm, hex};

/// The fs-verity digest of an object's content, 32 or 64 bytes, with the algorithm that made it.
#[derive(Clone, Copy)]
pub struct ObjectId {
    algorithm: Algorithm,
    /// The digest, then zeros.
    bytes: [u8; 64],
}

impl ObjectId {
    /// The id with this digest.
    ///
    /// # Errors
    /// When the length is not the algorithm's.
    pub fn from_digest(algorithm: Algorithm, digest: &[u8]) -> Result<Self, ParseObjectIdError> {
        let mut bytes = [0; 64];
        match bytes.get_mut(..algorithm.digest_len()) {
            Some(place) if place.len() == digest.len() => place.copy_from_slice(digest),
            _ => return Err(ParseObjectIdError::Length(digest.len() * 2)),
        }
        Ok(Self { algorithm, bytes })
    }

    /// The id with this digest in its first 32 or 64 bytes; the rest is zeros.
    pub(crate) const fn from_padded(algorithm: Algorithm, bytes: [u8; 64]) -> Self {
        Self { algorithm, bytes }
    }

    /// The algorithm that made this digest.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest: 32 or 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.digest_len()).unwrap_or(&self.bytes)
    }

    /// The id in lower-case hexadecimal: 64 or 128 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.hex_into(&mut [0; 128]).to_owned()
    }

    /// The object's path below `objects/`: `XX/` and the rest of the hexadecimal digits.
    #[must_use]
    pub fn object_path(&self) -> String {
        let mut path = self.to_hex();
        path.insert(2, '/');
        path
    }

    /// The id in hexadecimal, without an allocation.
    pub(crate) fn hex_into<'a>(&self, digits: &'a mut [u8; 128]) -> &'a str {
        hex::encode(self.as_bytes(), digits);
        let used = digits.get(..self.algorithm.digest_len() * 2).unwrap_or_default();
        std::str::from_utf8(used).unwrap_or_default()
    }
}

/// Why a text is not an object id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseObjectIdError {
    /// Neither 64 (SHA-256) nor 128 (SHA-512) digits, or not the count of the repository's algorithm.
    #[error("an object id has 64 or 128 hexadecimal digits, this has {0}")]
    Length(usize),
    /// A character outside `0-9a-f`.
    #[error("an object id has lower-case hexadecimal digits only, this has {0:?}")]
    Digit(char),
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        let algorithm = match hex.len() {
            64 => Algorithm::Sha256,
            128 => Algorithm::Sha512,
            other => return Err(ParseObjectIdError::Length(other)),
        };
        let mut bytes = [0; 64];
        let digest = bytes.get_mut(..algorithm.digest_len()).unwrap_or_default();
        if !hex::decode(hex.as_bytes(), digest) {
            let bad = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f'));
            return Err(ParseObjectIdError::Digit(bad.unwrap_or_default()));
        }
        Ok(Self { algorithm, bytes })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({}…)", self.to_hex().get(..12).unwrap_or_default())
    }
}

impl PartialEq for ObjectId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ObjectId {}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for ObjectId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // A digest is uniform: its first eight bytes are hash enough, and equality compares them all.
        let mut first = [0; 8];
        first.copy_from_slice(self.bytes.first_chunk::<8>().unwrap_or(&[0; 8]));
        state.write_u64(u64::from_le_bytes(first));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hex_reads_back_as_the_id_that_wrote_it(digest in proptest::collection::vec(any::<u8>(), 64)) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let id = ObjectId::from_digest(algorithm, &digest[..algorithm.digest_len()]).unwrap();
                prop_assert_eq!(id.to_hex().parse::<ObjectId>().unwrap(), id);
                prop_assert_eq!(id.object_path().replace('/', ""), id.to_hex());
            }
        }
    }

    #[test]
    fn upper_case_short_and_foreign_names_are_refused() {
        assert_eq!("ab".parse::<ObjectId>(), Err(ParseObjectIdError::Length(2)));
        assert_eq!("A".repeat(64).parse::<ObjectId>(), Err(ParseObjectIdError::Digit('A')));
        assert_eq!("é".repeat(32).parse::<ObjectId>(), Err(ParseObjectIdError::Digit('é')));
        assert!(ObjectId::from_digest(Algorithm::Sha512, &[0; 32]).is_err());
    }
}
