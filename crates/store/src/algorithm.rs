//! The two fs-verity hash algorithms that a repository can be made with.
//!
//! A repository has exactly one, recorded in its `meta.json`; blocks are 4,096 bytes and there is no salt, always.

use std::{fmt, str::FromStr};

/// The fs-verity block size, in bytes: the only one that composefs repositories use.
pub const BLOCK_SIZE: usize = 4096;

/// The fs-verity hash algorithm of a repository, named as in `meta.json` (`fsverity-sha256-12`: hash, log2 of the
/// block size).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: the default, since most processors have instructions for it.
    #[default]
    Sha256,
    /// SHA-512: what bootc reads, so the default of a repository under a sysroot.
    Sha512,
}

impl Algorithm {
    /// The length of a digest in bytes: 32 or 64.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The number that Linux gives the algorithm (`FS_VERITY_HASH_ALG_*` in `linux/fsverity.h`): 1 or 2.
    #[must_use]
    pub const fn kernel_number(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The algorithm that Linux knows by this number, if it is one of ours.
    #[must_use]
    pub const fn from_kernel_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The name in `meta.json`: `fsverity-sha256-12` or `fsverity-sha512-12`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "fsverity-sha256-12",
            Self::Sha512 => "fsverity-sha512-12",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not one of `fsverity-sha256-12` and `fsverity-sha512-12`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fs-verity algorithm {0:?}: expected fsverity-sha256-12 or fsverity-sha512-12")]
pub struct ParseAlgorithmError(String);

impl FromStr for Algorithm {
    type Err = ParseAlgorithmError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fsverity-sha256-12" => Ok(Self::Sha256),
            "fsverity-sha512-12" => Ok(Self::Sha512),
            _ => Err(ParseAlgorithmError(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_the_algorithm_that_wrote_it() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(Algorithm::from_kernel_number(algorithm.kernel_number()), Some(algorithm));
        }
        assert!("fsverity-sha256-16".parse::<Algorithm>().is_err());
    }
}
