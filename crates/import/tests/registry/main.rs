//! The registry client against a server in this process that does whatever a test needs: it breaks off, lies, stalls,
//! redirects, and wants tokens. What real registries do is in tests/registry.rs at the root.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "../common/mod.rs"]
mod common;

mod auth;
mod documents;
mod kit;
mod naming;
mod pushing;
mod pushing_faults;
mod repository;
mod secrets;
mod server;
mod signatures;
mod transfer;
