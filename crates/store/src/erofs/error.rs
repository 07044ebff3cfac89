//! Why bytes are not an image that we read.

use crate::tree::TreeError;

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Another kind of file: no composefs header and EROFS superblock.
    #[error("not a composefs image: {0}")]
    Foreign(&'static str),
    /// An image of another format, or with features that composefs does not use.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Bytes that contradict the format.
    #[error("the image is damaged at byte {at}: {what}")]
    Corrupt {
        /// The contradiction.
        what: &'static str,
        /// Where it was found, from the start of the image.
        at: u64,
    },
    /// Names, targets or attributes that no tree holds.
    #[error("the image holds what no tree does: {0}")]
    Tree(#[from] TreeError),
}
