//! What a tag leads to now, by one `HEAD` (distribution-spec, "Pulling manifests": the answer says the digest).
//!
//! What lives here: the request, and what of its answer is believed. What does not: trust. The digest says only whether it
//! is worth while to read the document; whatever is read then is hashed as ever.

use ureq::http::{Method, StatusCode, Uri, header};

use super::{
    client::{Client, MANIFESTS},
    exchange::{Exchange, Payload},
    fault::Fault,
    wire::Answer,
};
use crate::{
    Digest, DigestAlgorithm,
    error::{ImportError, Result},
};

/// What a registry calls the digest of the document that it would send.
const DIGEST: header::HeaderName = header::HeaderName::from_static("docker-content-digest");

impl Client {
    /// The digest of what a tag leads to; `None` where the registry does not say it this way: then a `GET` tells.
    ///
    /// # Errors
    /// [`ImportError::Missing`] when there is no such tag, and what keeps the registry from answering.
    pub(super) fn digest_of(&self, tag: &str) -> Result<Option<Digest>> {
        let mut attempts = self.attempts();
        loop {
            attempts.check()?;
            match self.try_digest_of(tag) {
                Ok(digest) => return Ok(digest),
                Err(fault) => attempts.pause(fault)?,
            }
        }
    }

    fn try_digest_of(&self, tag: &str) -> Result<Option<Digest>, Fault> {
        let what = format!("manifest {tag}");
        let headers = [(header::ACCEPT, MANIFESTS)];
        let path = format!("{}/manifests/{tag}", self.endpoint.repository);
        // Whether there is TLS, this request finds out as well as any other.
        let (_, first) = self.scheme_by(|base| {
            let no_url = |_| Fault::Lasting(ImportError::malformed(self.place(), "no URL can be made of it"));
            let url: Uri = format!("{base}{path}").parse().map_err(no_url)?;
            let request =
                Exchange { method: Method::HEAD, url: &url, headers: &headers, body: Payload::None };
            self.wire.exchange(&request, &url, None, true, self.settings().cancel.as_ref())
        })?;
        if let Some(answer) = first.filter(|answer| answer.status() == StatusCode::OK) {
            return Ok(said(&answer));
        }
        let url = self.url(&format!("manifests/{tag}"))?;
        let request = Exchange { method: Method::HEAD, url: &url, headers: &headers, body: Payload::None };
        let answer = self.exchange(&request)?;
        match answer.status() {
            StatusCode::OK => Ok(said(&answer)),
            StatusCode::NOT_FOUND => Err(self.refused(answer, &what)),
            status => match self.refused(answer, &what) {
                passing @ Fault::Passing { .. } => Err(passing),
                Fault::Lasting(error) => {
                    tracing::debug!(place = self.place(), %status, %error, "HEAD is refused");
                    Ok(None)
                }
            },
        }
    }
}

/// The digest that an answer states. Documents that a tag names are hashed with SHA-256 here, so another says nothing.
fn said(answer: &Answer) -> Option<Digest> {
    let digest: Digest = answer.header(DIGEST)?.parse().ok()?;
    (digest.algorithm() == DigestAlgorithm::Sha256).then_some(digest)
}
