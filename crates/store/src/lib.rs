//! The store under Sealstone: content-addressed objects in a composefs repository, and the EROFS images that name them.
//!
//! What lives here: objects by fs-verity digest, refs, transactions, gc, fsck and repair; the file tree type and the
//! EROFS image writer and reader; fs-verity; the one edge to the file system ([`disk`]).
//! What never does: tar, HTTP, boot artefacts, deployment records.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod algorithm;
mod contents;
pub mod control;
mod copy_out;
mod damage;
pub mod disk;
mod doctor;
pub mod dump;
mod durable;
pub mod erofs;
mod error;
mod file_digest;
#[cfg(test)]
mod fixture;
mod fsck;
mod gc;
mod hex;
mod id_table;
mod init;
pub mod layout;
mod lock;
mod lost;
mod mark;
pub mod meta;
pub mod mount;
mod names;
mod object_id;
mod object_writer;
mod objects;
mod placing;
mod publish;
mod put_shared;
mod raw;
mod ref_name;
mod repair;
mod repository;
mod scratch;
mod seen;
mod sha256;
pub mod splitstream;
mod stream_name;
mod temporary;
mod transaction;
pub mod tree;
mod unsynced;
mod usage;
pub mod verity;
mod verity_mode;

pub use algorithm::{Algorithm, BLOCK_SIZE, ParseAlgorithmError};
pub use contents::{ContentDigest, ContentHasher, ContentIndex, IndexOptions, IndexReport, IndexedContent};
pub use control::{CancelToken, Cancelled, Control};
pub use copy_out::CopiedOut;
pub use damage::Damage;
pub use doctor::{Ability, DoctorReport, Finding, doctor};
pub use durable::Durable;
pub use error::{Error, Optional, Result};
pub use fsck::{FsckDepth, FsckReport};
pub use gc::{GcOptions, GcReport};
pub use init::InitOptions;
pub use lock::lock_within;
pub use mount::{
    DetachedMount, DiskPart, MountEntry, bind_read_only, mount_image, reread_partitions, unmount_image,
    write_through_own_mounts,
};
pub use names::{Place, RefTarget};
pub use object_id::{ObjectId, ParseObjectIdError};
pub use object_writer::ObjectWriter;
pub use raw::heap::keep_heap_tight;
pub use raw::map::{Access, Map};
pub use ref_name::RefName;
pub use repair::{ObjectSource, RepairReport};
pub use repository::{OPEN_PATIENCE, Repository};
pub use scratch::Scratch;
pub use sha256::Sha256;
pub use stream_name::StreamName;
pub use transaction::{Stored, Transaction, TransactionStats};
pub use usage::{GroupUsage, Usage};
pub use verity_mode::Verity;
