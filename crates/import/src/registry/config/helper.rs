//! Credential helpers: programs `docker-credential-NAME` that keep credentials.
//!
//! Protocol: github.com/docker/docker-credential-helpers, `get`: the server's key on standard input, a JSON object on
//! standard output, or a message there and an exit status that is not 0. What lives here: which helper to ask for what,
//! and reading its answer. What does not: running it.

use serde::Deserialize;

use super::{Credentials, Secret, reason::json_reason};
use crate::error::{ImportError, Result};

/// What a helper prints when it has nothing for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// How much of a helper's message is told, in characters.
const MESSAGE_CHARACTERS: usize = 200;

/// A question to a credential helper, which the caller has to put to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperRequest {
    program: String,
    server: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    #[serde(default)]
    username: String,
    secret: Option<Secret>,
}

impl HelperRequest {
    /// Asks `docker-credential-NAME` for a server. `file` is who says so, for errors.
    ///
    /// # Errors
    /// [`ImportError::Config`] when the name could be something else than a program's: it is letters, digits and `-_.`.
    pub(super) fn new(name: &str, server: impl Into<String>, file: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            let shown: String = name.chars().take(64).collect();
            return Err(ImportError::config(file, format!("{shown:?} is no name of a credential helper")));
        }
        Ok(Self { program: format!("docker-credential-{name}"), server: server.into() })
    }

    /// The program's name, without a folder; its only argument is `get`.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// What goes to its standard input: the registry, as the file that names the helper writes it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Reads what the helper wrote to standard output. `None` when it has nothing for this server.
    ///
    /// # Errors
    /// [`ImportError::Config`] when it failed, or answered in another form.
    pub fn read_reply(&self, succeeded: bool, output: &[u8]) -> Result<Option<Credentials>> {
        if !succeeded {
            return self.read_failure(output);
        }
        let reply: Reply = serde_json::from_slice(output)
            .map_err(|error| self.fail(format!("its answer is malformed: {}", json_reason(&error))))?;
        let secret = reply.secret.ok_or_else(|| self.fail("its answer has no Secret"))?;
        let credentials = match reply.username {
            token if token == TOKEN_USER => Credentials::IdentityToken(secret),
            name => Credentials::User { name, password: secret },
        };
        Ok((!credentials.is_empty()).then_some(credentials))
    }

    fn read_failure(&self, output: &[u8]) -> Result<Option<Credentials>> {
        let message = String::from_utf8_lossy(output);
        let message = message.trim();
        if message == NOT_FOUND {
            return Ok(None);
        }
        // By the protocol a message; what looks like an answer is not repeated.
        let is_answer = message.contains(['{', '"']);
        let told: String = message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARACTERS).collect();
        Err(self.fail(if told.is_empty() || is_answer {
            "it failed without a message".to_owned()
        } else {
            format!("it failed: {told}")
        }))
    }

    pub(super) fn fail(&self, reason: impl Into<String>) -> ImportError {
        ImportError::config(&self.program, format!("{} (asked for {:?})", reason.into(), self.server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HelperRequest {
        HelperRequest::new("pass", "quay.io", "auth.json").unwrap()
    }

    #[test]
    fn an_answer_is_a_user_or_an_identity_token() {
        let alice = br#"{"ServerURL":"quay.io","Username":"alice","Secret":"s3cret"}"#;
        assert_eq!(request().read_reply(true, alice).unwrap(), Some(Credentials::user("alice", "s3cret")));
        let token = br#"{"Username":"<token>","Secret":"t0ken"}"#;
        assert_eq!(
            request().read_reply(true, token).unwrap(),
            Some(Credentials::IdentityToken(Secret::new("t0ken")))
        );
    }

    #[test]
    fn a_helper_without_credentials_for_the_server_is_no_error() {
        let message = b"credentials not found in native keychain\n";
        assert_eq!(request().read_reply(false, message).unwrap(), None);
        assert_eq!(request().read_reply(true, br#"{"Username":"","Secret":""}"#).unwrap(), None);
    }

    #[test]
    fn a_failing_helper_is_named_and_its_secrets_are_not_told() {
        let error = request().read_reply(false, b"pass: store is locked\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "docker-credential-pass cannot be used: it failed: pass: store is locked (asked for \"quay.io\")"
        );
        for (succeeded, output) in [
            (false, r#"{"Username":"a","Secret":"hunter2"}"#),
            (true, r#"{"Username":"a","Secret":["hunter2"]}"#),
            (true, r#"{"Username":"a","Secret":"hunter2""#),
            (true, "hunter2"),
            (true, r#"{"Password":"hunter2"}"#),
        ] {
            let error = request().read_reply(succeeded, output.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{output}: {error}");
        }
    }

    #[test]
    fn a_helper_is_a_bare_name_never_a_path_or_a_command() {
        for bad in ["", "../sh", "/bin/sh", "a b", "a;b", "a\0b", "ä"] {
            let error = HelperRequest::new(bad, "quay.io", "/home/a/auth.json").unwrap_err();
            assert!(error.to_string().starts_with("/home/a/auth.json cannot be used"), "{error}");
        }
        assert_eq!(request().program(), "docker-credential-pass");
    }
}
