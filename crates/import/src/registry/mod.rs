//! Registries: where an image is named by a host and a repository.
//!
//! What lives here: [`config`], what a machine says about registries. What never does: the environment; every setting
//! is given by the caller.

pub mod config;
