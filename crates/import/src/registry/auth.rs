//! [`Keeper`]: answers a registry's challenges, and keeps what it takes until that expires.
//!
//! Sources: RFC 6750 and distribution's token protocol (`docs/spec/auth`): a `Bearer` challenge names a token server, which
//! gives a token for a scope, to anybody, to a user by `Basic`, or for an identity token by OAuth 2's `refresh_token`.
//! Invariants: one request at a time asks for a token, and the others wait for it; a token server gets credentials through
//! TLS only (CVE-2019-10214), unless the registry itself was declared insecure.

use std::{
    fmt::Write as _,
    io::Read,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use ureq::http::{StatusCode, Uri, header};

use super::{
    Credentials, RegistryEndpoint, Secret,
    answer::refusal,
    config::Challenge,
    fault::Fault,
    origin::{Origin, Shown, is_https},
    secrets::Secrets,
    wire::{Answer, Request, Wire},
};
use crate::{error::ImportError, limits::TOKEN_BYTES};

/// How long a token is good for that does not say, or says less (distribution's token specification).
const SHORTEST_LIFE: Duration = Duration::from_mins(1);

/// What we are to the registry at present.
#[derive(Debug, Default)]
pub(super) struct Keeper(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Counts what was held, so that who is refused knows whether it was the present one.
    generation: u64,
    wanted: Option<Wanted>,
    header: Option<Secret>,
    /// When a new one is to be fetched, before the registry refuses this one.
    stale: Option<Instant>,
}

/// What the registry asked for last.
#[derive(Clone, Debug)]
enum Wanted {
    Basic,
    Bearer { realm: Uri, service: Option<String>, scope: String },
}

/// The value of `Authorization` to send, and its number.
pub(super) struct Held {
    pub(super) generation: u64,
    pub(super) header: Option<Secret>,
}

/// Who asks.
pub(super) struct Asker<'a> {
    endpoint: &'a RegistryEndpoint,
    wire: &'a Wire,
    /// The registry, for messages.
    place: &'a str,
    /// What a token has to be good for.
    actions: &'static str,
}

/// What a token has to be good for that is pushed with.
pub(super) const PUSH: &str = "pull,push";

impl Keeper {
    /// What to send now; fetched anew if it is about to expire.
    pub(super) fn held(&self, asker: &Asker<'_>) -> Result<Held, Fault> {
        let mut state = self.lock();
        if state.stale.is_some_and(|stale| Instant::now() >= stale)
            && let Some(wanted) = state.wanted.clone()
        {
            state.take(asker.fetch(&wanted)?);
        }
        Ok(Held { generation: state.generation, header: state.header.clone() })
    }

    /// Takes up a refusal of what was held.
    pub(super) fn answer(&self, asker: &Asker<'_>, held: &Held, refused: &Answer) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.generation != held.generation {
            return Ok(()); // somebody else was refused as well, and has a new one
        }
        let wanted = asker.choose(refused)?;
        state.take(asker.fetch(&wanted)?);
        state.wanted = Some(wanted);
        Ok(())
    }

    /// What must not be shown.
    pub(super) fn secrets(&self, credentials: Option<&Credentials>) -> Secrets {
        let mut secrets = Secrets::of(credentials);
        self.lock().header.iter().for_each(|header| secrets.add(header));
        secrets
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, (header, life): (Secret, Option<Duration>)) {
        self.generation += 1;
        self.header = Some(header);
        // Renewed after three quarters of its life: a request must not arrive with one that ended on the way.
        self.stale = life.map(|life| Instant::now() + life * 3 / 4);
    }
}

impl<'a> Asker<'a> {
    pub(super) const fn new(
        endpoint: &'a RegistryEndpoint,
        wire: &'a Wire,
        place: &'a str,
        actions: &'static str,
    ) -> Self {
        Self { endpoint, wire, place, actions }
    }

    fn unauthorized(&self, reason: impl Into<String>) -> Fault {
        Fault::Lasting(ImportError::Unauthorized { place: self.place.to_owned(), reason: reason.into() })
    }

    /// The challenge that we can answer: a token before a password.
    fn choose(&self, refused: &Answer) -> Result<Wanted, Fault> {
        let values = refused.response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges: Vec<_> =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(Challenge::parse).collect();
        if let Some(bearer) = challenges.iter().find(|challenge| challenge.is_bearer()) {
            let realm = bearer.realm().unwrap_or_default();
            let realm: Uri =
                realm.parse().map_err(|_| self.unauthorized("its challenge names no token server"))?;
            let is_plain = !is_https(&realm);
            let names_user = realm.authority().is_none_or(|authority| authority.as_str().contains('@'));
            if Origin::of(&realm).is_none() || names_user || (is_plain && !self.endpoint.is_insecure) {
                let reason = format!("its token server {} is not reached through TLS", Shown(&realm));
                return Err(Fault::Lasting(ImportError::insecure(self.place, reason)));
            }
            let mut scopes: Vec<_> = bearer.scopes().collect();
            let own = format!("repository:{}:{}", self.endpoint.repository, self.actions);
            // A registry that is asked whether it has a blob does not know that we are going to push.
            if scopes.is_empty() || (self.actions == PUSH && !scopes.contains(&own.as_str())) {
                scopes.push(&own);
            }
            let scope = scopes.join(" ");
            return Ok(Wanted::Bearer { realm, service: bearer.service().map(str::to_owned), scope });
        }
        if challenges.iter().any(Challenge::is_basic) {
            return Ok(Wanted::Basic);
        }
        Err(self.unauthorized("it refuses, and does not say how to identify"))
    }

    /// The value of `Authorization`, and how long it is good for.
    fn fetch(&self, wanted: &Wanted) -> Result<(Secret, Option<Duration>), Fault> {
        let credentials = self.endpoint.credentials.as_ref().filter(|credentials| !credentials.is_empty());
        match (wanted, credentials) {
            (Wanted::Basic, Some(user @ Credentials::User { .. })) => {
                let header =
                    user.basic().ok_or_else(|| self.unauthorized("it wants a user and a password"))?;
                Ok((header, None))
            }
            (Wanted::Basic, _) => Err(self.unauthorized("it wants a user and a password")),
            (Wanted::Bearer { .. }, Some(Credentials::RegistryToken(token))) => {
                Ok((Secret::new(format!("Bearer {}", token.expose())), None))
            }
            (Wanted::Bearer { realm, service, scope }, credentials) => {
                let answer = self.ask(realm, service.as_deref(), scope, credentials)?;
                self.read_token(answer, realm)
            }
        }
    }

    fn ask(
        &self,
        realm: &Uri,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Answer, Fault> {
        if let Some(Credentials::IdentityToken(token)) = credentials {
            let form = [
                ("grant_type", "refresh_token"),
                ("service", service.unwrap_or_default()),
                ("scope", scope),
                ("client_id", "sealstone"),
                ("refresh_token", token.expose()),
            ];
            return self.wire.post_form(realm, &form);
        }
        let mut query: Vec<String> =
            service.iter().map(|service| format!("service={}", encode(service))).collect();
        query.extend(scope.split(' ').map(|scope| format!("scope={}", encode(scope))));
        if let Some(Credentials::User { name, .. }) = credentials
            && !name.is_empty()
        {
            query.push(format!("account={}", encode(name)));
        }
        let joint = if realm.query().is_some() { '&' } else { '?' };
        let url: Uri = format!("{realm}{joint}{}", query.join("&"))
            .parse()
            .map_err(|_| self.unauthorized("its challenge names no token server"))?;
        let header = credentials.and_then(Credentials::basic);
        let authorization = header.as_ref();
        let request =
            Request { url: &url, accept: "application/json", range: None, authorization, is_document: true };
        self.wire.get(request, None)
    }

    fn read_token(&self, mut answer: Answer, realm: &Uri) -> Result<(Secret, Option<Duration>), Fault> {
        #[derive(Deserialize)]
        struct Wire {
            token: Option<Secret>,
            access_token: Option<Secret>,
            expires_in: Option<u64>,
        }
        let what = || format!("the answer of the token server {}", Shown(realm));
        let malformed = |reason: &str| Fault::Lasting(ImportError::malformed(what(), reason));
        if answer.status() != StatusCode::OK {
            let secrets = Secrets::of(self.endpoint.credentials.as_ref());
            return Err(match answer.status() {
                StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                    self.unauthorized(format!("its token server {} says {}", Shown(realm), answer.status()))
                }
                _ => refusal(answer, "token", self.place, &secrets),
            });
        }
        let mut bytes = Vec::new();
        let body = answer.response.body_mut().as_reader();
        body.take(TOKEN_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::of_io(Shown(realm).to_string(), &error))?;
        if bytes.len() as u64 > TOKEN_BYTES {
            return Err(Fault::Lasting(ImportError::TooBig { what: what(), limit: TOKEN_BYTES }));
        }
        // The reason of a parser could show a part of the token.
        let wire: Wire =
            serde_json::from_slice(&bytes).map_err(|_| malformed("it is not JSON with a token"))?;
        let token = [wire.token, wire.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| malformed("it has no token"))?;
        if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("its token has characters that no header may have"));
        }
        let life = Duration::from_secs(wire.expires_in.unwrap_or_default().min(1 << 30));
        Ok((Secret::new(format!("Bearer {}", token.expose())), Some(life.max(SHORTEST_LIFE))))
    }
}

/// Percent-encodes all but what a URL's query takes as it is (RFC 3986, "unreserved", and `/` and `:` for readability).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use ureq::{Body, http::Response};

    use super::*;
    use crate::registry::RegistrySettings;

    fn refusal(challenge: &str) -> Answer {
        let response = Response::builder().status(401).header("www-authenticate", challenge);
        let response = response.body(Body::builder().data("")).unwrap();
        Answer { response, url: "https://a.example/v2/".parse().unwrap(), is_own: true }
    }

    fn choose(challenge: &str, is_insecure: bool) -> Result<Wanted, Fault> {
        choose_for("pull", challenge, is_insecure)
    }

    fn choose_for(actions: &'static str, challenge: &str, is_insecure: bool) -> Result<Wanted, Fault> {
        let mut endpoint = RegistryEndpoint::new("a.example".parse().unwrap(), "some/image");
        endpoint.is_insecure = is_insecure;
        let wire = Wire::new(&endpoint, &RegistrySettings::default());
        Asker::new(&endpoint, &wire, "docker://a.example/some/image", actions).choose(&refusal(challenge))
    }

    #[test]
    fn a_token_server_gets_credentials_through_tls_only() {
        let plain = r#"Bearer realm="http://b.example/token",service="s""#;
        assert!(matches!(choose(plain, false), Err(Fault::Lasting(ImportError::Insecure { .. }))));
        assert!(choose(plain, true).is_ok());
        assert!(choose(&plain.replace("http:", "https:"), false).is_ok());
        for realm in ["", "file:///x", "https://u:p@b.example/", "b.example/token", "https://"] {
            assert!(choose(&format!("Bearer realm=\"{realm}\""), true).is_err(), "{realm}");
        }
    }

    #[test]
    fn a_token_is_chosen_before_a_password_and_for_the_image_if_nothing_is_said() {
        let both = r#"Basic realm="x", Bearer realm="https://b.example/token""#;
        let Ok(Wanted::Bearer { scope, .. }) = choose(both, false) else { panic!("no token") };
        assert_eq!(scope, "repository:some/image:pull");
        assert!(matches!(choose(r#"Basic realm="x""#, false), Ok(Wanted::Basic)));
        assert!(choose("Negotiate", false).is_err());
    }

    #[test]
    fn a_token_to_push_with_is_asked_for_whatever_the_registry_thinks_of_first() {
        let pull = r#"Bearer realm="https://b.example/token",scope="repository:some/image:pull""#;
        let Ok(Wanted::Bearer { scope, .. }) = choose_for(PUSH, pull, false) else { panic!("no token") };
        assert_eq!(scope, "repository:some/image:pull repository:some/image:pull,push");
        let push = pull.replace(":pull", ":pull,push");
        let Ok(Wanted::Bearer { scope, .. }) = choose_for(PUSH, &push, false) else { panic!("no token") };
        assert_eq!(scope, "repository:some/image:pull,push");
        let Ok(Wanted::Bearer { scope, .. }) = choose(pull, false) else { panic!("no token") };
        assert_eq!(scope, "repository:some/image:pull");
    }

    #[test]
    fn what_a_query_cannot_hold_is_encoded() {
        assert_eq!(encode("the registry&scope=a:b/c#é"), "the%20registry%26scope%3Da:b/c%23%C3%A9");
    }
}
