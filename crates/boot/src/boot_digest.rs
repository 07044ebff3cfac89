//! The digest of a kernel with its initramfs: what two deployments share when they boot the same pair.
//!
//! What lives here: the id type. Source: bootc's `.origin` file calls it `digest` of `[boot]`: the SHA-256 of the
//! kernel's bytes and then the initramfs'. It is no fs-verity digest and no object id.

use std::{fmt, str::FromStr};

use crate::BootError;

/// The SHA-256 of a kernel's bytes followed by its initramfs' bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootDigest([u8; 32]);

impl BootDigest {
    /// What the SHA-256 of the kernel and then the initramfs has come to.
    #[must_use]
    pub(crate) const fn of(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for BootDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BootDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootDigest({}…)", self.to_string().get(..12).unwrap_or_default())
    }
}

impl FromStr for BootDigest {
    type Err = BootError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        let refuse = || BootError::invalid("boot digest", hex, "64 lower-case hexadecimal digits");
        let nibble = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(refuse()),
        };
        let mut digest = [0; 32];
        if hex.len() != 64 {
            return Err(refuse());
        }
        for (place, [high, low]) in digest.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
            *place = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(digest))
    }
}

impl serde::Serialize for BootDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BootDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
