//! [`Secrets`]: those that we sent, so that what a server says can be searched for them before it is shown.

use super::{Credentials, Secret};

/// What must not be repeated.
#[derive(Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Those of credentials.
    pub(super) fn of(credentials: Option<&Credentials>) -> Self {
        let mut secrets = Self::default();
        match credentials {
            Some(credentials @ Credentials::User { password, .. }) => {
                secrets.add(password);
                credentials.basic().iter().for_each(|header| secrets.add(header));
            }
            Some(Credentials::IdentityToken(token) | Credentials::RegistryToken(token)) => secrets.add(token),
            None => {}
        }
        secrets
    }

    /// Adds a secret, or the value of an `Authorization` header with one.
    pub(super) fn add(&mut self, secret: &Secret) {
        let text = secret.expose();
        let bare = text.strip_prefix("Basic ").or_else(|| text.strip_prefix("Bearer ")).unwrap_or(text);
        if !bare.is_empty() {
            self.0.push(Secret::new(bare));
        }
    }

    pub(super) fn occur_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.expose()))
    }
}
