//! [`Client`]: one repository of one registry, over the distribution API (distribution-spec, "Pull").
//!
//! What lives here: which URL, who is asked for what, and refusals that are answered with a token. What does not: trust in
//! what comes; the caller compares it with a digest.

use std::{
    io::Read,
    sync::{Mutex, PoisonError},
};

use ureq::http::{StatusCode, Uri, header};

use super::{
    RegistryEndpoint, RegistrySettings,
    answer::refusal,
    auth::{Asker, Keeper, PUSH},
    fault::Fault,
    origin::{Origin, Shown},
    retry::Attempts,
    wire::{Answer, Request, Wire},
};
use crate::error::{ImportError, Result};

/// The four types of manifests and indexes; a registry may hide what is not asked for. Schema 1 is not.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// A short body, whole.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Its `Content-Type`, without parameters.
    pub(super) content_type: Option<String>,
}

/// A client of one repository.
pub(super) struct Client {
    pub(super) endpoint: RegistryEndpoint,
    settings: RegistrySettings,
    pub(super) wire: Wire,
    pub(super) keeper: Keeper,
    /// What tokens have to be good for: `pull`, or `pull,push`.
    pub(super) actions: &'static str,
    /// `docker://HOST/REPOSITORY`, for messages.
    place: String,
    /// `http` or `https`, once it is known.
    scheme: Mutex<Option<&'static str>>,
}

impl Client {
    pub(super) fn new(endpoint: RegistryEndpoint, settings: RegistrySettings) -> Self {
        let wire = Wire::new(&endpoint, &settings);
        let place = format!("docker://{}/{}", endpoint.host, endpoint.repository);
        let scheme = Mutex::new((!endpoint.is_insecure).then_some("https"));
        Self { endpoint, settings, wire, keeper: Keeper::default(), actions: "pull", place, scheme }
    }

    /// The same, to write to the repository as well.
    pub(super) fn to_push(endpoint: RegistryEndpoint, settings: RegistrySettings) -> Self {
        Self { actions: PUSH, ..Self::new(endpoint, settings) }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) const fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.settings.retry, self.settings.cancel.as_ref())
    }

    /// Ends what is on its way, in whichever thread.
    pub(super) fn shut_down(&self) {
        self.wire.shut_down();
    }

    /// A manifest or index by tag or digest, of at most `limit` bytes.
    pub(super) fn manifest(&self, name: &str, limit: u64) -> Result<Body> {
        let mut attempts = self.attempts();
        loop {
            attempts.check()?;
            match self.try_manifest(name, limit) {
                Ok(body) => return Ok(body),
                Err(fault) => attempts.pause(fault)?,
            }
        }
    }

    fn try_manifest(&self, name: &str, limit: u64) -> Result<Body, Fault> {
        let what = format!("manifest {name}");
        let mut answer = self.get(&format!("manifests/{name}"), &what, MANIFESTS, None, true)?;
        let content_type = answer
            .header(header::CONTENT_TYPE)
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let mut bytes = Vec::new();
        let body = answer.response.body_mut().as_reader();
        body.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::of_io(Shown(&answer.url).to_string(), &error))?;
        if bytes.len() as u64 > limit {
            let what = format!("{what} of {}, in bytes", self.place);
            return Err(Fault::Lasting(ImportError::TooBig { what, limit }));
        }
        Ok(Body { bytes, content_type })
    }

    /// A blob, or the part of it that `range` asks for. The answer is 200, or with a range 206 or 416 as well.
    pub(super) fn blob(&self, digest: &str, range: Option<&str>) -> Result<Answer, Fault> {
        self.get(&format!("blobs/{digest}"), &format!("blob {digest}"), "*/*", range, false)
    }

    /// Asks, and once more with a token if the registry wants one.
    fn get(
        &self,
        path: &str,
        what: &str,
        accept: &str,
        range: Option<&str>,
        is_document: bool,
    ) -> Result<Answer, Fault> {
        let base = self.base(self.scheme()?)?;
        let url: Uri = format!("{base}{}/{path}", self.endpoint.repository)
            .parse()
            .map_err(|_| Fault::Lasting(ImportError::malformed(self.place(), "no URL can be made of it")))?;
        let registry = Origin::of(&url);
        let asker = Asker::new(&self.endpoint, &self.wire, &self.place, self.actions);
        let mut was_refused = false;
        loop {
            let held = self.keeper.held(&asker)?;
            let authorization = held.header.as_ref();
            let request = Request { url: &url, accept, range, authorization, is_document };
            let mut answer = self.wire.get(request, registry.as_ref())?;
            match answer.status() {
                StatusCode::OK => return Self::check_encoding(answer),
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if range.is_some() => {
                    return Self::check_encoding(answer);
                }
                StatusCode::UNAUTHORIZED if answer.is_own && !was_refused => {
                    was_refused = true;
                    answer.drain();
                    self.keeper.answer(&asker, &held, &answer)?;
                }
                _ => {
                    let secrets = self.keeper.secrets(self.endpoint.credentials.as_ref());
                    return Err(refusal(answer, what, &self.place, &secrets));
                }
            }
        }
    }

    /// Bytes that a server packed on the way are not those that the digest is of.
    fn check_encoding(answer: Answer) -> Result<Answer, Fault> {
        match answer.header(header::CONTENT_ENCODING) {
            None | Some("identity") => Ok(answer),
            Some(_) => {
                let what = format!("the answer of {}", Shown(&answer.url));
                Err(Fault::Lasting(ImportError::malformed(what, "it is encoded, and must not be")))
            }
        }
    }

    pub(super) fn base(&self, scheme: &str) -> Result<Uri, Fault> {
        format!("{scheme}://{}/v2/", self.endpoint.host.address())
            .parse()
            .map_err(|_| Fault::Lasting(ImportError::malformed(self.place(), "no URL can be made of it")))
    }

    /// `https`, unless the registry was declared insecure and does not answer there.
    pub(super) fn scheme(&self) -> Result<&'static str, Fault> {
        let knock = |base: &Uri| {
            let request =
                Request { url: base, accept: "*/*", range: None, authorization: None, is_document: true };
            self.wire.get(request, Origin::of(base).as_ref()).map(|mut answer| answer.drain())
        };
        self.scheme_by(knock).map(|(scheme, _)| scheme)
    }

    /// The same, found out by any request that is given the URL of `/v2/` and says who it is to nobody. With it comes the
    /// answer, if it had to be asked.
    pub(super) fn scheme_by<T>(
        &self,
        knock: impl Fn(&Uri) -> Result<T, Fault>,
    ) -> Result<(&'static str, Option<T>), Fault> {
        let mut scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *scheme {
            return Ok((known, None));
        }
        let knock = |scheme| knock(&self.base(scheme)?);
        let (found, answer) = match (knock("https"), self.endpoint.is_insecure) {
            (Ok(answer), _) => ("https", answer),
            (Err(fault), false) => return Err(fault),
            (Err(secure), true) => match knock("http") {
                Ok(answer) => ("http", answer),
                // What TLS has to say matters only where there is TLS.
                Err(plain) if matches!(secure, Fault::Lasting(_)) => return Err(plain),
                Err(_) => return Err(secure),
            },
        };
        *scheme = Some(found);
        Ok((found, Some(answer)))
    }
}
