//! The one error type of the crate: each variant is a decision that the caller can take.
//!
//! Errors name the thing (`layer sha256:…`, `manifest sha256:…`) and the reason. Those that say "the source lies or is
//! damaged" answer [`ImportError::is_untrusted`]; nothing was published when any of them comes.

use sealstone_store::{Cancelled, Error as StoreError};

use crate::{Digest, decompress::DecodeError, tar::Refusal};

/// What went wrong with an import.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text names no source that we know how to read.
    #[error("{text:?} is no image reference: {reason}")]
    Reference {
        /// What was given.
        text: String,
        /// The rule it breaks.
        reason: String,
    },
    /// The source has no such image, or lacks a file that its own documents name.
    #[error("{place} has no {what}")]
    Missing {
        /// What was looked for.
        what: String,
        /// Where.
        place: String,
    },
    /// The repository has no image of this name: list those that it has.
    #[error("{place} has no image {name:?}")]
    UnknownImage {
        /// What was asked for: a name, a digest, an id, or the beginning of one.
        name: String,
        /// The repository.
        place: String,
    },
    /// The reference fits several images: say which one.
    #[error("{place} has several images, choose one of: {}", .choices.join(", "))]
    Ambiguous {
        /// Where.
        place: String,
        /// What can be asked for.
        choices: Vec<String>,
    },
    /// The image exists, for other platforms only.
    #[error("{place} has nothing for {wanted}, only for: {}", .offered.join(", "))]
    NoPlatform {
        /// Where.
        place: String,
        /// The platform asked for.
        wanted: String,
        /// Those that are there.
        offered: Vec<String>,
    },
    /// A document breaks its format, or can be read in two ways.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Well-formed, and of a kind that is not imported.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// The thing.
        what: String,
        /// The kind, and a way out if there is one.
        reason: String,
    },
    /// The bytes are not those that were promised.
    #[error("{what} is not what it should be: expected {expected}, its bytes have {actual}")]
    Digest {
        /// The thing.
        what: String,
        /// The digest that named it.
        expected: Box<Digest>,
        /// The digest that we computed.
        actual: Box<Digest>,
    },
    /// There are more or fewer bytes than were promised.
    #[error("{what} has the wrong size: expected {expected} bytes, found {actual}{}", if *.actual > *.expected { " or more" } else { "" })]
    Size {
        /// The thing.
        what: String,
        /// The promised size, in bytes.
        expected: u64,
        /// How many bytes there were when reading stopped.
        actual: u64,
    },
    /// The blob cannot be decompressed.
    #[error("{what}: {source}")]
    Decode {
        /// The blob.
        what: String,
        /// Why.
        source: DecodeError,
    },
    /// The layer's tar breaks a rule, or a limit: the same bytes will be refused again.
    #[error("{layer}: {source}")]
    Refused {
        /// The layer.
        layer: String,
        /// The rule, the entry and the place.
        source: Refusal,
    },
    /// A file or value that configures registries, or a credential helper, cannot be used: mend it. Tells no secret.
    #[error("{what} cannot be used: {reason}")]
    Config {
        /// The file with its path, or the program.
        what: String,
        /// What is wrong with it, and where in it.
        reason: String,
    },
    /// The machine's configuration does not allow this image: `registries.conf` blocks it, `policy.json` rejects it or
    /// asks for a signature that it lacks.
    #[error("{what} is not allowed here: {reason}")]
    Denied {
        /// The image.
        what: String,
        /// The file and the rule.
        reason: String,
    },
    /// A registry cannot be reached, or fails, however often it is asked: try again later.
    #[error("{place} failed: {reason}")]
    Unreachable {
        /// The registry, or the URL, without anything secret.
        place: String,
        /// What happened last.
        reason: String,
    },
    /// A registry refuses: the image is not for these credentials, or for nobody without.
    #[error("{place} refuses access: {reason}")]
    Unauthorized {
        /// The registry and repository.
        place: String,
        /// What it said.
        reason: String,
    },
    /// A registry cannot be trusted to be itself: give its certificate authority, or accept that.
    #[error("{place} is not trusted: {reason}")]
    Insecure {
        /// The registry, or the URL.
        place: String,
        /// What is wrong: its certificate, or plain http in place of TLS.
        reason: String,
    },
    /// A bound of [`Limits`](crate::Limits) was passed.
    #[error("{what} is over the limit of {limit}")]
    TooBig {
        /// What was measured, with its unit.
        what: String,
        /// The limit, in the same unit.
        limit: u64,
    },
    /// The file system has too little room, or would have less left than is to be kept free.
    #[error(
        "{place} has too little space: {needed} {unit} are needed, {free} are free, and {reserve} of these are kept"
    )]
    NoSpace {
        /// The repository, or the file that was to be written.
        place: String,
        /// `bytes` or `inodes`.
        unit: &'static str,
        /// What is needed at least, beyond what was written.
        needed: u64,
        /// What is free.
        free: u64,
        /// What is kept in reserve.
        reserve: u64,
    },
    /// The store, or reading the source's files, failed.
    #[error(transparent)]
    Store(StoreError),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// A result of this crate.
pub type Result<T, E = ImportError> = std::result::Result<T, E>;

impl ImportError {
    /// Whether the source is damaged or lies: its bytes are not those that it promised.
    #[must_use]
    pub const fn is_untrusted(&self) -> bool {
        matches!(self, Self::Digest { .. } | Self::Size { .. } | Self::Decode { .. })
    }

    pub(crate) fn digest(what: impl Into<String>, expected: &Digest, actual: &Digest) -> Self {
        Self::Digest { what: what.into(), expected: Box::new(*expected), actual: Box::new(*actual) }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn config(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn unreachable(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unreachable { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn insecure(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Insecure { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), reason: reason.into() }
    }
}

/// The first of the things that a message offers, each cut to what a person reads: a document can name thousands.
pub(crate) fn few(things: impl Iterator<Item = String>) -> Vec<String> {
    const FEW: usize = 16;
    const LETTERS: usize = 128;
    let mut few = Vec::new();
    let mut more: usize = 0;
    for thing in things {
        match thing.char_indices().nth(LETTERS) {
            _ if few.len() == FEW => more += 1,
            Some((end, _)) => few.push(format!("{}…", thing.get(..end).unwrap_or_default())),
            None => few.push(thing),
        }
    }
    if more > 0 {
        few.push(format!("and {more} more"));
    }
    few
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cancelled => Self::Cancelled,
            other => Self::Store(other),
        }
    }
}

impl From<Cancelled> for ImportError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn messages_offer_a_few_things_of_a_readable_length() {
        assert_eq!(few(["a".to_owned()].into_iter()), ["a"]);
        let many = few((0..100).map(|number| format!("{number}{}", "é".repeat(1000))));
        assert_eq!((many.len(), many.last().map(String::as_str)), (17, Some("and 84 more")));
        assert!(many.iter().all(|one| one.chars().count() <= 129));
    }
}
