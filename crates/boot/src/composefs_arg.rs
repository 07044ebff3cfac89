//! The kernel arguments that name the root image: `composefs=` and `composefs.digest=`.
//!
//! What lives here: both spellings as one type. What does not: which image is booted (the deploy crate) and the mount
//! (the initramfs). Source: the initramfs programs of bootc and composefs-rs read them by these rules; the short form
//! says nothing of the image's format, and both look the image up by its id alone.

use std::fmt;

use sealstone_store::{Algorithm, ObjectId, erofs::Version};

use crate::{BootError, Karg, Kargs};

const SHORT: &str = "composefs";
const DESCRIBED: &str = "composefs.digest";

/// The argument that names the root image of a boot entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposefsArg {
    image: ObjectId,
    described: Option<Version>,
    verity_optional: bool,
}

impl ComposefsArg {
    /// The argument for a boot entry of ours: the short form for SHA-512, which bootc's initramfs reads, and for
    /// SHA-256 the described one, which only newer programs know. `verity_optional` says that the repository has no
    /// fs-verity, so that the initramfs must not ask for it (`?` before the value).
    #[must_use]
    pub const fn for_image(image: ObjectId, verity_optional: bool) -> Self {
        Self::for_version(image, Version::V1, verity_optional)
    }

    /// The same for an image of another format. The short form does not say which.
    #[must_use]
    pub const fn for_version(image: ObjectId, version: Version, verity_optional: bool) -> Self {
        let described = match image.algorithm() {
            Algorithm::Sha512 => None,
            Algorithm::Sha256 => Some(version),
        };
        Self { image, described, verity_optional }
    }

    /// The image's id.
    #[must_use]
    pub const fn image(&self) -> &ObjectId {
        &self.image
    }

    /// Whether the argument has the `?`: boot even where the file system has no fs-verity.
    #[must_use]
    pub const fn is_verity_optional(&self) -> bool {
        self.verity_optional
    }

    /// The EROFS version, when the argument says it.
    #[must_use]
    pub const fn described(&self) -> Option<Version> {
        self.described
    }

    /// Whether `karg` has one of the two keys.
    #[must_use]
    pub fn is_named_by(karg: &Karg) -> bool {
        karg.has_key(SHORT) || karg.has_key(DESCRIBED)
    }

    /// Every argument of this kind on a command line, in the order in which an initramfs tries them: described ones
    /// first.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when one of them does not parse.
    pub fn find_all(kargs: &Kargs) -> Result<Vec<Self>, BootError> {
        let of = |key| kargs.iter().filter(move |karg| karg.has_key(key)).map(Self::try_from);
        of(DESCRIBED).chain(of(SHORT)).collect()
    }

    /// This as a kernel argument.
    ///
    /// # Errors
    /// None in practice: the text of an id has no character that an argument cannot hold.
    pub fn to_karg(&self) -> Result<Karg, BootError> {
        self.to_string().parse()
    }
}

impl fmt::Display for ComposefsArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = if self.verity_optional { "?" } else { "" };
        let Some(version) = self.described else {
            return write!(f, "{SHORT}={optional}{}", self.image);
        };
        let hash = self.image.algorithm().name().trim_start_matches("fsverity-");
        write!(f, "{DESCRIBED}={optional}{version}-{hash}:{}", self.image)
    }
}

impl TryFrom<&Karg> for ComposefsArg {
    type Error = BootError;

    fn try_from(karg: &Karg) -> Result<Self, Self::Error> {
        let invalid = |why: String| BootError::invalid("composefs argument", karg.as_str(), why);
        let value = karg.value().ok_or_else(|| invalid("it has no value".into()))?;
        let (value, verity_optional) = match value.strip_prefix('?') {
            Some(rest) => (rest, true),
            None => (value, false),
        };
        let parse_id = |hex: &str| hex.parse::<ObjectId>().map_err(|error| invalid(error.to_string()));
        if karg.has_key(SHORT) {
            return Ok(Self { image: parse_id(value)?, described: None, verity_optional });
        }
        if !karg.has_key(DESCRIBED) {
            return Err(invalid("its key is neither composefs nor composefs.digest".into()));
        }
        let (description, hex) =
            value.split_once(':').ok_or_else(|| invalid("it has no colon before the digest".into()))?;
        let (version, hash) =
            description.split_once('-').ok_or_else(|| invalid("it names no hash before the colon".into()))?;
        let described: Version =
            version.parse().map_err(|error| invalid(format!("its version {version:?} is {error}")))?;
        let image = parse_id(hex)?;
        if image.algorithm().name().strip_prefix("fsverity-") != Some(hash) {
            return Err(invalid(format!("the digest is not one of {hash}")));
        }
        Ok(Self { image, described: Some(described), verity_optional })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(len: usize) -> ObjectId {
        "ab".repeat(len).parse().unwrap()
    }

    #[test]
    fn an_argument_reads_back_as_what_wrote_it() {
        for (image, optional, text) in [
            (id(64), false, format!("composefs={}", id(64))),
            (id(64), true, format!("composefs=?{}", id(64))),
            (id(32), false, format!("composefs.digest=v1-sha256-12:{}", id(32))),
            (id(32), true, format!("composefs.digest=?v1-sha256-12:{}", id(32))),
        ] {
            let arg = ComposefsArg::for_image(image, optional);
            assert_eq!(arg.to_string(), text);
            assert_eq!(ComposefsArg::try_from(&arg.to_karg().unwrap()).unwrap(), arg);
        }
    }

    #[test]
    fn described_arguments_are_tried_before_the_short_one() {
        let line = format!("composefs={0} quiet composefs.digest=v2-sha256-12:{1}", id(64), id(32));
        let found = ComposefsArg::find_all(&line.parse().unwrap()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].described(), Some(Version::V2));
        assert_eq!(found[1].image(), &id(64));
    }

    #[test]
    fn a_wrong_hash_name_version_or_length_is_refused() {
        for text in [
            "composefs".to_owned(),
            "composefs=abcd".to_owned(),
            format!("composefs.digest=v1-sha512-12:{}", id(32)),
            format!("composefs.digest=v3-sha256-12:{}", id(32)),
            format!("composefs.digest={}", id(32)),
            format!("other={}", id(32)),
        ] {
            assert!(ComposefsArg::try_from(&text.parse().unwrap()).is_err(), "{text}");
        }
    }
}
