//! zstd:chunked: zstd layers that can be had in part, and written.
//!
//! Such a blob is a tar in zstd frames, a frame of its own for each file or chunk of one, and behind them, in skippable
//! frames, a table of contents, a tar-split and a footer: to any other reader it is plain zstd. The table says which
//! content lies where. Whoever has most contents fetches the missing ones, and puts the tar together again from them and
//! from the tar-split's headers.
//!
//! Trust: the table and the tar-split count only with the digests that the manifest fixes, and then only say what to
//! fetch. What is made with them is a tar that goes the way of every layer's tar, and has to have the layer's diff_id.
//! So a table that lies leads to an error, or to the whole blob, and never to another tree. The blob's own digest is not
//! computed when only a part of it is read; nothing here or after says that the blob was seen.
//!
//! What never lives here: the old format (annotations `io.containers.zstd-chunked…`, no tar-split) and eStargz. Both are
//! read as what they are beside, zstd and gzip.
//!
//! Source of the format: github.com/containers/storage, `pkg/chunked/internal/minimal/compression.go`, and
//! `pkg/chunked/compressor/compressor.go`.

mod annotations;
mod fetch;
mod footer;
mod outline;
mod partial;
mod plan;
mod reassemble;
mod sheet;
mod stop;
mod toc;
mod writer;

pub(crate) use annotations::is_chunked;
pub use annotations::{Annotations, Part};
pub use footer::{FOOTER_BYTES, Footer};
pub use outline::LayerOutline;
pub(crate) use partial::{PartialPull, estimate};
pub(crate) use stop::Stop;
pub use toc::{Chunk, Toc, TocFile};
pub use writer::Writer;

/// The bytes before the payload of a skippable frame: magic number and length.
const SKIPPABLE_HEADER: u64 = 8;

/// The magic number of the skippable frames (RFC 8878 §3.1.2 leaves sixteen to choose from).
const SKIPPABLE_MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// The kind of table in annotations and footer: 1, the only one that there is.
const TABLE_KIND: u64 = 1;
