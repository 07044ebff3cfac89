//! Sealstone: OCI images in, verified bootable systems out.
//!
//! This crate is a facade: it re-exports the four libraries, in the order of the data's way, and holds no logic.
//!
//! ```text
//! registry, OCI layout,  →  fetch, verify, decompress,  →  objects by fs-verity  →  merge layers, plan,  →  BLS entry
//! archive                   parse tar                      digest, refs, images     /etc, kargs, records    on every ESP
//!        (source)                    import                        store                  deploy               boot
//! ```
//!
//! What never lives here: code. What each library does, and what it never does, stands on its own front page:
//! [`store`], [`import`], [`deploy`], [`boot`]. The command `store` is a thin program over this crate.
pub use sealstone_boot as boot;
pub use sealstone_deploy as deploy;
pub use sealstone_import as import;
pub use sealstone_store as store;
