//! [`Damage`]: the kinds of damage that a check finds, each with what it hit.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong in a repository. Ids and names are text, for reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Damage {
    /// `meta.json` no longer says what it said when the repository was opened.
    Meta {
        /// What is wrong with it.
        reason: String,
    },
    /// The content of an object is not the one that its id says: changed, cut short, or zeroed.
    ObjectContent {
        /// The object.
        id: String,
        /// What its content would be called.
        found: String,
    },
    /// An object cannot be read: the disk fails, or the kernel's fs-verity found damage.
    ObjectUnreadable {
        /// The object.
        id: String,
        /// What the system says.
        reason: String,
    },
    /// An object without the fs-verity that its repository requires, or with another digest.
    ObjectUnsealed {
        /// The object.
        id: String,
    },
    /// An object that something needs is not there.
    ObjectMissing {
        /// The object.
        id: String,
        /// What needs it: `image …`, `stream …`.
        needed_by: String,
    },
    /// A file among the objects that is none. Foreign programs refuse to collect garbage because of it.
    ForeignFile {
        /// Where, from the repository on.
        path: String,
    },
    /// A name that does not follow the layout.
    NameMalformed {
        /// Where, from the repository on.
        path: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// A name of an image or stream whose object is not there.
    NameDangling {
        /// Where, from the repository on.
        path: String,
        /// The object.
        id: String,
    },
    /// A ref to an image or a stream that has no name.
    RefDangling {
        /// Where, from the repository on.
        path: String,
        /// What it should keep.
        target: String,
    },
    /// A stream that is no splitstream.
    StreamMalformed {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment of the index of contents that cannot be read; it is ignored.
    IndexMalformed {
        /// Where, from the repository on.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry of the index of contents that says another thing of an object than its bytes.
    IndexWrong {
        /// The object.
        id: String,
        /// The digest that the entry has.
        content: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image that is no EROFS image of composefs.
    ImageMalformed {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta { reason } => write!(f, "meta.json: {reason}"),
            Self::ObjectContent { id, found } => write!(f, "object {id}: its content has the digest {found}"),
            Self::ObjectUnreadable { id, reason } => write!(f, "object {id}: {reason}"),
            Self::ObjectUnsealed { id } => write!(f, "object {id}: the kernel does not guard it"),
            Self::ObjectMissing { id, needed_by } => {
                write!(f, "object {id} is missing: {needed_by} needs it")
            }
            Self::ForeignFile { path } => write!(f, "{path}: not an object"),
            Self::NameMalformed { path, reason } | Self::IndexMalformed { path, reason } => {
                write!(f, "{path}: {reason}")
            }
            Self::NameDangling { path, id } => write!(f, "{path}: its object {id} is missing"),
            Self::RefDangling { path, target } => write!(f, "{path}: there is no {target}"),
            Self::StreamMalformed { name, reason } => write!(f, "stream {name}: {reason}"),
            Self::IndexWrong { id, content, reason } => {
                write!(f, "index entry {content} of object {id}: {reason}")
            }
            Self::ImageMalformed { id, reason } => write!(f, "image {id}: {reason}"),
        }
    }
}
