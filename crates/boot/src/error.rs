//! The one error type of the crate: each variant is a decision that the caller can take.
//!
//! Errors of the disk and of objects come through the store's error, which carries verb and path.

/// What went wrong, sorted by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// A text is not what it should be: a kernel argument, an entry, a name.
    #[error("{text:?} is not a valid {what}: {reason}")]
    Invalid {
        /// What it should have been.
        what: &'static str,
        /// The text, or its beginning.
        text: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// Something that booting needs is not there.
    #[error("there is no {what}")]
    Missing {
        /// The kind and the place.
        what: String,
    },
    /// There must be exactly one, and there are more.
    #[error("there must be one {what}, and there are {}: {}", found.len(), found.join(", "))]
    Ambiguous {
        /// The kind.
        what: &'static str,
        /// Where each was found.
        found: Vec<String>,
    },
    /// A limit was passed.
    #[error("the {what} has {size} bytes, and the limit is {limit}")]
    TooBig {
        /// What was measured.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The boot partition has too little room, counted before anything was written.
    #[error("{place} has {free} bytes free, and {needed} are needed")]
    NoSpace {
        /// The boot partition.
        place: String,
        /// What would be written, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// What was written does not read back as it should: the medium is bad, or something else writes to it.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// The file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name is taken by another bootable entry, which is never overwritten.
    #[error("the boot entry {name} is there already, and is another")]
    Occupied {
        /// The entry's file name.
        name: String,
    },
    /// A file is no PE image, or none that firmware would boot as it is read here.
    #[error("{what} is no valid boot image: {reason}")]
    Malformed {
        /// The file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A unified kernel image names another root image than the one it shall boot: one of the two was made differently.
    #[error("{uki} boots {}, and the image is {image}{}", named_or_none(named), why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    WrongImage {
        /// The unified kernel image.
        uki: String,
        /// The ids of the images that its command line names.
        named: Vec<String>,
        /// The id of the image that there is.
        image: String,
        /// What differs, from whoever has the files and looked.
        why: Option<String>,
    },
    /// No signature on a boot image holds, or none by one who is trusted.
    #[error("{what} is not trusted: {reason}")]
    Untrusted {
        /// The file.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The store or the disk failed.
    #[error(transparent)]
    Store(#[from] sealstone_store::Error),
}

impl BootError {
    /// Whether the boot partition's medium failed, so that another one may still work.
    #[must_use]
    pub fn is_of_the_medium(&self) -> bool {
        use sealstone_store::Error;
        matches!(self, Self::Store(Error::Io { .. } | Error::ReadOnly { .. }) | Self::Corrupt { .. })
    }

    /// A file that is no boot image.
    pub(crate) fn malformed(what: &str, reason: impl Into<String>) -> Self {
        Self::Malformed { what: what.to_owned(), reason: reason.into() }
    }

    /// A text that breaks a rule; long texts are cut.
    pub(crate) fn invalid(what: &'static str, text: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, text: text.chars().take(200).collect(), reason: reason.into() }
    }
}

fn named_or_none(named: &[String]) -> String {
    if named.is_empty() { "no image".to_owned() } else { named.join(" or ") }
}
