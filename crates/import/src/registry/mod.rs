//! Registries: where an image is named by a host and a repository.
//!
//! What lives here: a sync client of the distribution API over HTTP/1.1 and TLS, with tokens, retries and resumed downloads
//! ([`RegistrySource`]), and [`config`], what a machine says about registries. What never does: the environment, `/etc`
//! and the choice of files; every setting is given by the caller. Nor trust: bytes are compared with digests by whoever
//! reads them.
//!
//! Invariants: credentials go to the registry and to the token server that it names, through TLS, and to nobody else; no
//! error, log or `Debug` output shows them; whatever a server sends is bounded before it is held.

mod answer;
mod auth;
mod blob;
mod client;
pub mod config;
mod exchange;
mod fault;
mod head;
mod host;
mod origin;
mod proxies;
mod push;
mod reference;
mod retry;
mod secrets;
mod settings;
mod signatures;
mod source;
mod trust;
mod watch;
mod wire;

pub use config::{Credentials, NoProxy, Secret};
pub use host::RegistryHost;
pub use proxies::Proxies;
pub use push::{PushOptions, RegistryTarget, push};
pub use reference::RegistryReference;
pub use settings::{RegistryEndpoint, RegistrySettings, Retry, Timeouts, UploadSizes};
pub use source::RegistrySource;
pub use trust::Trust;
