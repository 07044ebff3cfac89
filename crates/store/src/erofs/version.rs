//! The formats in which images are written.

use std::{fmt, str::FromStr};

/// The layout of an image that is written.
///
/// A repository's images are V1 unless somebody demands V2, as a sealed UKI does whose digest is that of a V2 image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Compact inodes, breadth first: what C `mkcomposefs --min-version=1` and the crate `composefs` write by default.
    #[default]
    V1,
    /// Extended inodes, depth first, times in whole seconds: what older releases of the crate `composefs` wrote.
    V2,
}

impl Version {
    /// All of them, the default first.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The number in an image's header (`composefs_version`) and in a repository's `meta.json`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// `v1` or `v2`, as the kernel argument `composefs.digest=` has it.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// A text is no version's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither v1 nor v2")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(ParseVersionError),
        }
    }
}
