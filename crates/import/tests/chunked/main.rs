//! zstd:chunked: layers had in part over HTTP from a server that serves, fails or lies; our writer against readers that
//! are not ours, and our reader against what skopeo wrote.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a test that fails panics, one that cannot run says so; with ordinary files"
)]

#[path = "../registry/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the registry client")]
mod server;

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod kit;
mod lies;
mod oracles;
mod outline;
mod property;
mod pull;
