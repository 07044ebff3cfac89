//! What becomes of a layer's tar: each rule of `docs/format.md` as a test that says it.
//!
//! Tars are made by hand, block by block, since no tar program writes most of these.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails panics, one that cannot run says so"
)]

mod kit;

mod chunking;
mod devices_and_attributes;
mod differential;
mod ends;
mod gnu_tar;
mod hardlinks;
mod mutations;
mod numbers;
mod parents;
mod paths;
mod pax;
mod rebuild;
mod record;
mod sparse;
mod types;
mod umoci;
mod whiteouts;
