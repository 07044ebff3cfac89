//! `--pull-secret`: a secret that is read from a descriptor, a pipe or a file, once, and kept in memory.

use std::io::{self, Read};
use std::sync::OnceLock;

use anyhow::Context as _;
use sealstone::import::registry::Credentials;

/// The longest secret, in bytes: tokens are a few thousand.
const MOST_BYTES: u64 = 64 << 10;

/// What was read, and for which registry.
#[derive(Clone, Debug, Default)]
pub struct PullSecret(OnceLock<(String, Credentials)>);

impl PullSecret {
    /// The credentials for a registry, if the secret is for it: it is for the first that is asked for, and no other (an
    /// image may bind images of elsewhere).
    pub fn for_host(&self, place: &str, host: &str) -> anyhow::Result<Option<Credentials>> {
        if self.0.get().is_none() {
            let text = read(place).with_context(|| format!("read the pull secret from {place}"))?;
            let _ = self.0.set((host.to_owned(), Credentials::from_pull_secret(&text)));
        }
        Ok(self.0.get().filter(|(owner, _)| owner == host).map(|(_, credentials)| credentials.clone()))
    }
}

#[allow(clippy::disallowed_methods, reason = "a descriptor or file of the user's is no part of a repository")]
fn read(place: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut from: Box<dyn Read> = match place.strip_prefix("fd:") {
        Some(number) => {
            let number: u32 = number.parse().map_err(io::Error::other)?;
            Box::new(std::fs::File::open(format!("/proc/self/fd/{number}"))?)
        }
        None if place == "-" => Box::new(io::stdin()),
        None => Box::new(std::fs::File::open(place)?),
    };
    (&mut from).take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(text)
}
