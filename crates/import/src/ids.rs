//! The four ids of an OCI image's parts, distinct types over a [`Digest`].
//!
//! They are parsed at the border and never turn into each other: what has the bytes of a blob has a [`BlobDigest`],
//! what has the bytes of the tar inside has a [`DiffId`].

use std::{fmt, str::FromStr};

use crate::{Digest, ParseDigestError};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Digest);

        impl $name {
            /// The id that has this digest: the caller says what the digest is of.
            #[must_use]
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest under the id.
            #[must_use]
            pub const fn digest(&self) -> &Digest {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    };
}

id_type! {
    /// The digest of a blob's bytes as they lie in the source: for a layer, compressed.
    BlobDigest
}
id_type! {
    /// The digest of a layer's tar, uncompressed (image-spec, config.md, `rootfs.diff_ids`).
    DiffId
}
id_type! {
    /// The digest of an image manifest's bytes: what names an image.
    ManifestDigest
}
id_type! {
    /// The digest of an image configuration's bytes.
    ConfigDigest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_parsed_and_says_its_kind_in_debug() {
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let id: DiffId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert!(format!("{id:?}").starts_with("DiffId(sha256:ba7816bf8f01…"));
        assert!("sha256:zz".parse::<ManifestDigest>().is_err());
    }
}
