//! [`RegistrySettings`] and [`RegistryEndpoint`]: all that the client is told; it asks nobody else.

use std::time::Duration;

use sealstone_store::control::CancelToken;

use super::{Credentials, Proxies, RegistryHost, RegistryReference, Trust};

/// How registries are talked to. Start from [`RegistrySettings::default`] and change what you must.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegistrySettings {
    /// How long answers are waited for.
    pub timeouts: Timeouts,
    /// How often, and after which pauses, something is tried again.
    pub retry: Retry,
    /// The proxies.
    pub proxies: Proxies,
    /// In how many requests a blob is pushed.
    pub upload: UploadSizes,
    /// Ends waiting of every kind. By default nothing does: give the token of the import's `Control`.
    pub cancel: Option<CancelToken>,
}

/// In how many requests a blob is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadSizes {
    /// A blob of at most so many bytes goes in one: 1 MiB.
    pub whole: u64,
    /// Others go in chunks of so many bytes, which is what a broken connection costs at most: 64 MiB.
    pub chunk: u64,
}

impl Default for UploadSizes {
    fn default() -> Self {
        Self { whole: 1 << 20, chunk: 64 << 20 }
    }
}

/// How long a registry is waited for. There is no limit to a whole download: a slow line is fine, a dead one is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until a connection stands, TLS included: 30 s.
    pub connect: Duration,
    /// Until an answer begins: 60 s.
    pub answer: Duration,
    /// A blob of which fewer than [`Timeouts::STALL_BYTES`] come in this time has stalled, and is asked for anew: 60 s.
    pub stall: Duration,
    /// Until a document or a token is there whole: 120 s.
    pub document: Duration,
}

impl Timeouts {
    /// See [`Timeouts::stall`]: 16 KiB. A drip of single bytes is not progress.
    pub const STALL_BYTES: u64 = 16 << 10;
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            answer: Duration::from_mins(1),
            stall: Duration::from_mins(1),
            document: Duration::from_mins(2),
        }
    }
}

/// When something is tried again that may pass: no connection, a broken one, a timeout, 408, 425, 429, 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often, the first time included: 5. A blob that made progress of 1 MiB meanwhile begins to count anew.
    pub attempts: u32,
    /// The first pause, of which each has up to a half more, by chance; the next ones are twice as long each: 1 s.
    pub pause: Duration,
    /// The longest pause, also of those that a server asks for with `Retry-After`: 60 s.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_mins(1) }
    }
}

/// One place that may have an image: the registry itself, or a mirror.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryEndpoint {
    /// Its name and port.
    pub host: RegistryHost,
    /// The repository there.
    pub repository: String,
    /// Whom it is believed to be. Without roots it is not, unless [`is_insecure`](Self::is_insecure).
    pub trust: Trust,
    /// Who we say that we are, when it asks.
    pub credentials: Option<Credentials>,
    /// Takes any certificate, and plain http where there is no TLS at all. Digests hold all the same; what they do not
    /// protect is what a tag leads to, and the credentials.
    pub is_insecure: bool,
    /// Proxies for this place alone, instead of those of the settings.
    pub proxies: Option<Proxies>,
}

impl RegistryEndpoint {
    /// The registry that a reference names, without credentials and without trust.
    #[must_use]
    pub fn of(reference: &RegistryReference) -> Self {
        Self::new(reference.host().clone(), reference.repository())
    }

    /// A repository on a host, without credentials and without trust.
    #[must_use]
    pub fn new(host: RegistryHost, repository: &str) -> Self {
        Self {
            host,
            repository: repository.to_owned(),
            trust: Trust::default(),
            credentials: None,
            is_insecure: false,
            proxies: None,
        }
    }
}
