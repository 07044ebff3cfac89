//! The name of a processor architecture in the files of an image: Rust's, as bootc has it.
//!
//! What lives here: the name, and how it comes from an image's platform, which has Go's. Invariant: it is the image's
//! architecture, never that of the machine that runs this.

use std::fmt;

use sealstone_import::oci::Platform;

/// An architecture by the name that `match-architectures` has for it: `x86_64`, `aarch64`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture(String);

/// Go's names (image-spec, image-index.md) and Rust's (`std::env::consts::ARCH`), where they differ. Rust names the two
/// byte orders of a processor alike.
const NAMES: [(&str, &str); 9] = [
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("386", "x86"),
    ("ppc64le", "powerpc64"),
    ("ppc64", "powerpc64"),
    ("loong64", "loongarch64"),
    ("mips64le", "mips64"),
    ("mipsle", "mips"),
    ("ppc", "powerpc"),
];

impl Architecture {
    /// The architecture of an image.
    #[must_use]
    pub fn of(platform: &Platform) -> Self {
        let name = platform.architecture();
        Self(Self::of_go(name).unwrap_or(name).to_owned())
    }

    /// Rust's name for one of Go's that differs.
    pub(super) fn of_go(name: &str) -> Option<&'static str> {
        NAMES.iter().find(|(go, _)| *go == name).map(|(_, rust)| *rust)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_name_that_rust_has_for_its_architecture() {
        for (platform, name) in [
            ("linux/amd64", "x86_64"),
            ("linux/arm64/v8", "aarch64"),
            ("linux/ppc64le", "powerpc64"),
            ("linux/s390x", "s390x"),
            ("linux/riscv64", "riscv64"),
        ] {
            assert_eq!(Architecture::of(&platform.parse().unwrap()).as_str(), name);
        }
        assert_eq!(Architecture::of(&Platform::native()).as_str(), std::env::consts::ARCH);
    }
}
