//! `--pull-secret`: a secret that is read from a descriptor, a pipe or a file, once, and kept in memory.

use std::sync::OnceLock;

use anyhow::Context as _;
use sealstone::import::registry::Credentials;

use crate::secret;

/// What was read, and for which registry.
#[derive(Clone, Debug, Default)]
pub struct PullSecret(OnceLock<(String, Credentials)>);

impl PullSecret {
    /// The credentials for a registry, if the secret is for it: it is for the first that is asked for, and no other (an
    /// image may bind images of elsewhere).
    pub fn for_host(&self, place: &str, host: &str) -> anyhow::Result<Option<Credentials>> {
        if self.0.get().is_none() {
            let what = || format!("read the pull secret from {place}");
            let text = String::from_utf8(secret::read(place).with_context(what)?).with_context(what)?;
            let _ = self.0.set((host.to_owned(), Credentials::from_pull_secret(&text)));
        }
        Ok(self.0.get().filter(|(owner, _)| owner == host).map(|(_, credentials)| credentials.clone()))
    }
}
