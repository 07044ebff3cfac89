//! Sealstone: OCI images in, verified bootable systems out.
//!
//! This crate is a facade: it re-exports the four libraries, in the order of the data's way, and holds no logic.
pub use sealstone_boot as boot;
pub use sealstone_deploy as deploy;
pub use sealstone_import as import;
pub use sealstone_store as store;
