//! The store under Sealstone: content-addressed objects in a composefs repository, and the EROFS images that name them.
//!
//! What lives here: objects by fs-verity digest, refs, transactions, gc, fsck and repair; the file tree type and the
//! EROFS image writer and reader; fs-verity; the one edge to the file system ([`disk`]).
//! What never does: tar, HTTP, boot artefacts, deployment records.

mod algorithm;
pub mod control;
pub mod disk;
mod error;
mod id_table;
mod object_id;
mod raw;
pub mod tree;
pub mod verity;

pub use algorithm::{Algorithm, BLOCK_SIZE, ParseAlgorithmError};
pub use control::{CancelToken, Cancelled, Control};
pub use error::{Error, Optional, Result};
pub use object_id::{ObjectId, ParseObjectIdError};
pub use raw::map::{Access, Map};
