//! The search for credentials: files in their order, and helpers where the files or `registries.conf` name them.
//!
//! What lives here: the order. What does not: running a helper, which is the caller's to allow.

use super::{AuthFile, Credentials, HelperRequest, Lookup};
use crate::error::Result;

/// One of the places of `credential-helpers` in `registries.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// The auth files (`containers-auth.json`).
    AuthFiles,
    /// A helper for all registries, by its name without `docker-credential-`.
    Helper(String),
}

impl CredentialSource {
    pub(super) fn from_name(name: String) -> Self {
        if name == "containers-auth.json" { Self::AuthFiles } else { Self::Helper(name) }
    }
}

/// Looks for the credentials of `repository` at `host`: in each source, in each file, until there are any. `ask` puts a
/// question to a helper, or answers `None` if helpers are not to be run.
///
/// # Errors
/// Those of [`AuthFile::lookup`] and of `ask`: a broken place is never passed over for the next.
pub fn find_credentials(
    sources: &[CredentialSource],
    files: &[AuthFile],
    host: &str,
    repository: &str,
    ask: &dyn Fn(&HelperRequest) -> Result<Option<Credentials>>,
) -> Result<Option<Credentials>> {
    for source in sources {
        match source {
            CredentialSource::Helper(name) => {
                if let Some(found) = ask(&HelperRequest::new(name, host, "registries.conf")?)? {
                    return Ok(Some(found));
                }
            }
            CredentialSource::AuthFiles => {
                for file in files {
                    let found = match file.lookup(host, repository)? {
                        None => continue,
                        Some(Lookup::Credentials(credentials)) => Some(credentials),
                        Some(Lookup::Helper(request)) => ask(&request)?,
                    };
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn files() -> Vec<AuthFile> {
        let files = [
            r#"{"credHelpers":{"quay.io":"first"}}"#,
            r#"{"auths":{"quay.io":{"username":"alice","password":"s3cret"}}}"#,
        ];
        files.iter().map(|json| AuthFile::parse("auth.json", json.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn a_helper_that_has_nothing_leaves_it_to_the_next_file() {
        let asked = RefCell::new(Vec::new());
        let sources =
            ["everywhere", "containers-auth.json"].map(|name| CredentialSource::from_name(name.into()));
        let ask = |request: &HelperRequest| {
            asked.borrow_mut().push(format!("{} {}", request.program(), request.server()));
            Ok(None)
        };
        let found = find_credentials(&sources, &files(), "quay.io", "ns/repo", &ask).unwrap();
        assert_eq!(found, Some(Credentials::user("alice", "s3cret")));
        assert_eq!(
            *asked.borrow(),
            ["docker-credential-everywhere quay.io", "docker-credential-first quay.io"]
        );
    }

    #[test]
    fn the_first_place_that_has_credentials_ends_the_search() {
        let ask = |_: &HelperRequest| Ok(Some(Credentials::user("helped", "x")));
        let sources = [CredentialSource::AuthFiles];
        let found = find_credentials(&sources, &files(), "quay.io", "ns/repo", &ask).unwrap();
        assert_eq!(found, Some(Credentials::user("helped", "x")));
        assert_eq!(find_credentials(&sources, &files(), "a.io", "ns/repo", &ask).unwrap(), None);
    }
}
