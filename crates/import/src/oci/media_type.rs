//! Media types: what a descriptor says its bytes are.
//!
//! Only the kind matters here. A layer's compression is told by its bytes; the media type's word on it is compared, to
//! warn when the two disagree.

use std::fmt;

use crate::decompress::Compression;

/// What a media type means to us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`, or Docker's manifest list.
    Index,
    /// `application/vnd.oci.image.manifest.v1+json`, or Docker's manifest of schema 2.
    Manifest,
    /// `application/vnd.oci.image.config.v1+json`, or Docker's.
    Config,
    /// A tar layer with the compression that the type claims; OCI's three, its non-distributable three, and Docker's.
    Layer(Compression),
    /// Docker's manifest of schema 1, signed or not: refused.
    Schema1,
    /// A layer that is encrypted (`+encrypted`): refused.
    Encrypted,
    /// Anything else.
    Other(String),
}

impl MediaType {
    /// Reads a media type as a descriptor writes it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json" => {
                Self::Config
            }
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Self::Schema1,
            _ if text.ends_with("+encrypted") => Self::Encrypted,
            _ => Self::parse_layer(text).map_or_else(|| Self::Other(text.to_owned()), Self::Layer),
        }
    }

    /// The name that OCI gives it; none for what we never write.
    #[must_use]
    pub const fn oci_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Index => "application/vnd.oci.image.index.v1+json",
            Self::Manifest => "application/vnd.oci.image.manifest.v1+json",
            Self::Config => "application/vnd.oci.image.config.v1+json",
            Self::Layer(Compression::None) => "application/vnd.oci.image.layer.v1.tar",
            Self::Layer(Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Layer(Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Schema1 | Self::Encrypted | Self::Other(_) => return None,
        })
    }

    fn parse_layer(text: &str) -> Option<Compression> {
        let oci = text
            .strip_prefix("application/vnd.oci.image.layer.v1.tar")
            .or_else(|| text.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar"));
        if let Some(suffix) = oci {
            return match suffix {
                "" => Some(Compression::None),
                "+gzip" => Some(Compression::Gzip),
                "+zstd" => Some(Compression::Zstd),
                _ => None,
            };
        }
        match text {
            "application/vnd.docker.image.rootfs.diff.tar" => Some(Compression::None),
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Some(Compression::Gzip),
            "application/vnd.docker.image.rootfs.diff.tar.zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index => f.write_str("an image index"),
            Self::Manifest => f.write_str("an image manifest"),
            Self::Config => f.write_str("an image configuration"),
            Self::Layer(compression) => write!(f, "a tar layer (compression: {})", compression.name()),
            Self::Schema1 => f.write_str("a Docker manifest of schema 1"),
            Self::Encrypted => f.write_str("an encrypted layer"),
            Self::Other(text) => write!(f, "{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_types_mean_what_their_oci_twins_mean() {
        for (docker, oci) in [
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.oci.image.manifest.v1+json",
            ),
            (
                "application/vnd.docker.distribution.manifest.list.v2+json",
                "application/vnd.oci.image.index.v1+json",
            ),
            ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
        ] {
            assert_eq!(MediaType::parse(docker), MediaType::parse(oci));
        }
    }

    #[test]
    fn the_oci_name_of_a_type_reads_back_as_it() {
        use Compression::{Gzip, None as Plain, Zstd};
        let layers = [Plain, Gzip, Zstd].map(MediaType::Layer);
        for own in layers.into_iter().chain([MediaType::Index, MediaType::Manifest, MediaType::Config]) {
            assert_eq!(MediaType::parse(own.oci_name().unwrap()), own);
        }
        assert_eq!(MediaType::Schema1.oci_name(), None);
    }

    #[test]
    fn an_encrypted_layer_is_no_layer() {
        assert_eq!(
            MediaType::parse("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
            MediaType::Encrypted
        );
        assert_eq!(MediaType::parse("text/plain"), MediaType::Other("text/plain".to_owned()));
    }
}
