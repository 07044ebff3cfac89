//! Images made to do harm, and what has to become of each: one table a kind, one runner for all.
//!
//! What lives here: the attacks, and the checks that hold for every one of them. What does not: rules of layers that
//! `crates/import/tests/layers` holds already, unless the whole way through the command can break them.

#![allow(dead_code, unused_imports, reason = "two test files, each a program of its own, use a part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests, with ordinary files"
)]

pub mod archives;
pub mod attack;
pub mod compression;
pub mod descriptors;
pub mod documents;
pub mod field;
pub mod layout;
pub mod layouts;
pub mod links;
pub mod pax;
pub mod peers;
pub mod sparse;
pub mod tars;
pub mod whiteouts;

pub use attack::{Attack, Expect, Make};
pub use field::Field;
pub use layout::Layout;
