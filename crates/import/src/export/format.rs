//! [`BlobFormat`]: how a layer's tar becomes a blob, and the media type of that.
//!
//! A format's output depends on the tar alone: not on time, threads or the machine. So an export can be repeated byte for
//! byte, and one of an image that we exported before gives the blobs that its manifest names.

use std::{fmt, str::FromStr};

use super::{
    LayerWriter,
    encoders::{Chunked, Gzipped, Plain, Zstandard},
};
use crate::{
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Descriptor, MediaType},
    zstd_chunked::is_chunked,
};

/// How a layer's tar becomes a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobFormat {
    /// It is the blob.
    Plain,
    /// gzip, which everybody reads.
    Gzip,
    /// zstd: smaller and faster both ways. Docker reads it since 23, containerd since 1.5, podman since 1.8.
    Zstd,
    /// zstd:chunked: about a quarter more bytes than zstd, and whoever has most files of a layer fetches the others alone. To any other
    /// reader it is zstd.
    ZstdChunked,
}

impl BlobFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Gzip, Self::Zstd, Self::ZstdChunked];

    /// What a user calls it: `none`, `gzip`, `zstd`, `zstd:chunked`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::ZstdChunked => "zstd:chunked",
        }
    }

    /// The media type of such a layer (image-spec, layer.md).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd | Self::ZstdChunked => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// The format that a manifest says a layer has.
    #[must_use]
    pub fn of(layer: &Descriptor) -> Self {
        match layer.media_type() {
            MediaType::Layer(Compression::None) => Self::Plain,
            MediaType::Layer(Compression::Zstd) if is_chunked(layer) => Self::ZstdChunked,
            MediaType::Layer(Compression::Zstd) => Self::Zstd,
            _ => Self::Gzip,
        }
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// When the compressor cannot be set up.
    pub fn writer(self) -> Result<Box<dyn LayerWriter>> {
        Ok(match self {
            Self::Plain => Box::new(Plain),
            Self::Gzip => Box::new(Gzipped::new()),
            Self::Zstd => Box::new(Zstandard::new()?),
            Self::ZstdChunked => Box::new(Chunked::new()?),
        })
    }
}

impl fmt::Display for BlobFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BlobFormat {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.name()).collect();
            ImportError::unsupported(
                format!("compression {text:?}"),
                format!("there are {}", names.join(", ")),
            )
        })
    }
}
