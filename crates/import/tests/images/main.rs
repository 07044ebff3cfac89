//! Whole images, honest and not, from a layout into a repository: each rule of the importer as a test that says it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![allow(clippy::disallowed_methods, reason = "fixtures are made behind the importer's back")]

#[path = "../common/mod.rs"]
mod common;

mod kit;

mod bodies;
mod cancelling;
mod choosing;
mod exporting;
mod formats;
mod measuring;
mod sharing;
mod verification;
