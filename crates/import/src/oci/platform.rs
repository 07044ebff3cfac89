//! Platforms, and which of an index's images runs on one.
//!
//! Names are GOOS and GOARCH (image-spec, image-index.md); the aliases that `uname -m`, Debian and rpm use are turned
//! into them. The fall-back lists of variants are those of containers/image (`pkg/platform`), with amd64's levels.

use std::{fmt, str::FromStr};

/// An operating system, an architecture and a variant of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// The platform with these names, aliases resolved; an empty variant is none.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = canonical(architecture);
        let variant = variant.filter(|text| !text.is_empty()).or(implied).map(str::to_owned);
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant }
    }

    /// Linux on the architecture that this program was built for.
    #[must_use]
    pub fn native() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// The operating system: `linux`.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture: `amd64`, `arm64`, …
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant: `v7`, …
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether the index says that this is no image to run: buildx marks attestations so.
    pub(super) fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// How well an image made for `offered` runs here: 0 is best, `None` is not at all.
    #[must_use]
    pub fn rank(&self, offered: &Self) -> Option<usize> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        self.acceptable_variants().iter().position(|variant| *variant == offered.variant())
    }

    /// The variants that run here, best first.
    fn acceptable_variants(&self) -> Vec<Option<&str>> {
        let ladder: &[&str] = match self.architecture.as_str() {
            "arm" => &["v8", "v7", "v6", "v5"],
            "arm64" => &["v8"],
            "amd64" => &["v4", "v3", "v2", "v1"],
            _ => &[],
        };
        match self.variant() {
            // An amd64 that names no level has the lowest; every arm64 is v8; an arm without variant may be any.
            None if self.architecture == "amd64" => vec![None, Some("v1")],
            None => ladder.iter().map(|step| Some(*step)).chain([None]).collect(),
            Some(own) => match ladder.iter().position(|step| *step == own) {
                Some(at) => ladder.iter().skip(at).map(|step| Some(*step)).chain([None]).collect(),
                None => vec![Some(own), None],
            },
        }
    }
}

/// The GOARCH of an alias, and the variant it implies.
fn canonical(architecture: &str) -> (&str, Option<&'static str>) {
    match architecture {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "armhf" | "armv7l" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        "i386" | "i686" | "x86" => ("386", None),
        "ppc64el" | "powerpc64le" => ("ppc64le", None),
        "mips64el" => ("mips64le", None),
        "riscv64gc" => ("riscv64", None),
        "loongarch64" => ("loong64", None),
        other => (other, None),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The text is not `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no platform: expected OS/ARCHITECTURE[/VARIANT]")]
pub struct ParsePlatformError(String);

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if !os.is_empty() && !architecture.is_empty() => {
                Ok(Self::new(os, architecture, None))
            }
            [os, architecture, variant] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self::new(os, architecture, Some(variant)))
            }
            _ => Err(ParsePlatformError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
        let wanted: Platform = wanted.parse().unwrap();
        offered
            .iter()
            .filter_map(|text| wanted.rank(&text.parse().unwrap()).map(|rank| (rank, *text)))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, text)| text)
    }

    #[test]
    fn an_arm_takes_the_newest_variant_it_can_run() {
        assert_eq!(
            best("linux/arm/v7", &["linux/arm/v5", "linux/arm/v8", "linux/arm/v6"]),
            Some("linux/arm/v6")
        );
        assert_eq!(best("linux/armhf", &["linux/arm", "linux/arm/v8"]), Some("linux/arm"));
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7"]), None);
        assert_eq!(best("linux/aarch64", &["linux/arm64"]), Some("linux/arm64"));
        assert_eq!(best("linux/arm64", &["linux/amd64", "linux/arm64/v8"]), Some("linux/arm64/v8"));
    }

    #[test]
    fn an_amd64_takes_levels_up_to_its_own() {
        assert_eq!(
            best("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"]),
            Some("linux/amd64/v2")
        );
        assert_eq!(best("linux/x86_64", &["linux/amd64/v3", "linux/amd64"]), Some("linux/amd64"));
        assert_eq!(best("linux/amd64", &["windows/amd64", "linux/386"]), None);
    }

    #[test]
    fn a_platform_prints_its_canonical_names() {
        assert_eq!("linux/armhf".parse::<Platform>().unwrap().to_string(), "linux/arm/v7");
        for bad in ["linux", "", "/", "linux/", "a/b/c/d", "linux/arm/"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
