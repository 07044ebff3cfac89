//! Reading a layer's tar: sans-IO, bounded, and in agreement with Go's `archive/tar`.
//!
//! What lives here: the [`Reader`], which is fed decompressed bytes as they come and says which of them are headers
//! and padding (kept verbatim, so that the tar can be rebuilt bit by bit) and which are a file's body; the [`Entry`] it
//! parses; the typed [`Refusal`]s and [`Warning`]s; the header of members that we write ([`Ustar`]). What does not: whiteouts and the tree (`layer_tree`), hashing,
//! input and output.
//!
//! Invariants: no input makes it panic or hold more than the [`Limits`](crate::Limits) say; any split of the input
//! gives the same entries; a path it yields is relative, normalised and has no `..`.
//!
//! Formats: POSIX.1-2017 `pax` (ustar, pax), GNU tar 1.34 "Standard" and "Extensions" chapters, `tar(5)` of libarchive.

mod block;
mod entry;
mod header;
mod notes;
mod number;
mod path;
mod pax;
mod percent;
mod reader;
mod refusal;
mod sparse;
mod sparse_map;
mod strictness;
mod ustar;
mod warning;
mod xattrs;

pub use entry::{Device, Entry, Kind, Spelling};
pub use notes::{Normalisation, Notes, Tally};
pub use reader::{Item, Reader, Step};
pub use refusal::{Reason, Refusal};
pub use sparse_map::{Piece, Segment, SparseMap};
pub use strictness::Strictness;
pub use ustar::Ustar;
pub use warning::{Warning, Warnings};
pub use xattrs::Xattrs;

pub(crate) use path::normalise;
