//! [`Credentials`]: who we say that we are to a registry.
//!
//! What lives here: their kinds, and the texts that people write them as. What does not: where they are kept
//! ([`AuthFile`](super::AuthFile), helpers) and what is done with them (the client).

use std::str::FromStr;

use super::Secret;
use crate::base64::{decode_base64, encode_base64};

/// What a registry, or its token server, is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password, sent as `Basic` (RFC 7617).
    User {
        /// The user's name; empty with an opaque pull secret.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, exchanged at the token server (`grant_type=refresh_token`).
    IdentityToken(Secret),
    /// A bearer token that is sent to the registry as it is.
    RegistryToken(Secret),
}

impl Credentials {
    /// A user with a password.
    #[must_use]
    pub fn user(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self::User { name: name.into(), password: Secret::new(password) }
    }

    /// Reads a pull secret as Ironic takes it: `USER:PASSWORD`, split at the first colon; the base64 of that, as in an
    /// auth file's `auth`; or any other text, which is the password of a user without a name.
    #[must_use]
    pub fn from_pull_secret(text: &str) -> Self {
        let text = text.trim();
        if let Ok(user) = text.parse() {
            return user;
        }
        match Self::decode_auth(text) {
            Some(user) => user,
            None => Self::user("", text),
        }
    }

    /// The value of an auth file's `auth`: base64 of `USER:PASSWORD`. Docker pads the password with NULs at times.
    pub(super) fn decode_auth(text: &str) -> Option<Self> {
        let mut bytes = Vec::new();
        decode_base64(text.as_bytes(), &mut bytes)?;
        let text = Secret::new(String::from_utf8(bytes).ok()?);
        text.expose().trim_end_matches('\0').parse().ok()
    }

    /// The value of an `Authorization` header, `Basic …`; `None` for tokens.
    #[must_use]
    pub fn basic(&self) -> Option<Secret> {
        let Self::User { name, password } = self else { return None };
        let pair = Secret::new(format!("{name}:{}", password.expose()));
        Some(Secret::new(format!("Basic {}", encode_base64(pair.expose().as_bytes()))))
    }

    /// Whether there is nothing in them: to be treated as if there were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::User { name, password } => name.is_empty() && password.is_empty(),
            Self::IdentityToken(token) | Self::RegistryToken(token) => token.is_empty(),
        }
    }
}

/// A text has no colon, so it is not `USER:PASSWORD`. It is not repeated here: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credentials are written USER:PASSWORD, and this has no colon")]
pub struct ParseCredentialsError;

impl FromStr for Credentials {
    type Err = ParseCredentialsError;

    /// Reads `USER:PASSWORD`: the user's name ends at the first colon.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) = text.split_once(':').ok_or(ParseCredentialsError)?;
        Ok(Self::user(name, password))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Ironic's agent sent the half behind the colon of `USER:PASSWORD` alone, as if it were a pair (read in its code).
    #[test]
    fn a_pull_secret_is_a_pair_its_base64_or_an_opaque_text() {
        let alice = Credentials::user("alice", "s3:cret");
        assert_eq!(Credentials::from_pull_secret("alice:s3:cret\n"), alice);
        assert_eq!(Credentials::from_pull_secret("YWxpY2U6czM6Y3JldA=="), alice);
        // Base64, but of nothing with a colon; and no base64 at all.
        for opaque in ["Zm9vYmFy", "not base64!"] {
            assert_eq!(Credentials::from_pull_secret(opaque), Credentials::user("", opaque));
        }
    }

    #[test]
    fn basic_is_the_example_of_rfc_7617() {
        let credentials: Credentials = "Aladdin:open sesame".parse().unwrap();
        assert_eq!(credentials.basic().unwrap().expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(Credentials::IdentityToken(Secret::new("x")).basic(), None);
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_password() {
        for credentials in [
            Credentials::user("alice", "hunter2"),
            Credentials::IdentityToken(Secret::new("hunter2")),
            Credentials::RegistryToken(Secret::new("hunter2")),
            Credentials::from_pull_secret("hunter2"),
        ] {
            assert!(!format!("{credentials:?}").contains("hunter2"));
        }
        assert!(!format!("{:?}", "hunter2".parse::<Credentials>()).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn a_pair_comes_back_from_its_header(name in "[^:\0]{0,20}", password in "[^\0]{0,20}") {
            let credentials = Credentials::user(name, password);
            let header = credentials.basic().unwrap();
            let auth = header.expose().strip_prefix("Basic ").unwrap();
            prop_assert_eq!(Credentials::decode_auth(auth), Some(credentials));
        }
    }
}
