//! Requests that write: what [`Client`] sends besides its reads, with a method and a body.
//!
//! A body is sent again where a request is: after a refusal that a token answers, or where a 307 or 308 leads. The
//! credentials go to the registry's own origin alone, wherever an upload's address is.

use std::io::{self, Read};

use sealstone_store::{control::CancelToken, disk::File};
use ureq::http::{Method, StatusCode, Uri, header};

use super::{
    answer::refusal,
    auth::Asker,
    client::Client,
    fault::Fault,
    origin::{Origin, Shown, follow},
    secrets::Secrets,
    wire::Answer,
};
use crate::{error::ImportError, limits::REDIRECTS};

/// A request.
pub(super) struct Exchange<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Uri,
    pub(super) headers: &'a [(header::HeaderName, &'a str)],
    pub(super) body: Payload<'a>,
}

/// What a request carries.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    /// No body: of a `HEAD`, `GET` or `DELETE`.
    None,
    /// These bytes, perhaps none of them.
    Bytes(&'a [u8]),
    /// `len` bytes of a file, from `from` on.
    Part { file: &'a File, from: u64, len: u64, sent: &'a (dyn Fn(u64) + Sync) },
}

impl Client {
    /// The URL of something in the repository: `blobs/uploads/`.
    pub(super) fn url(&self, path: &str) -> Result<Uri, Fault> {
        let base = self.base(self.scheme()?)?;
        format!("{base}{}/{path}", self.endpoint.repository)
            .parse()
            .map_err(|_| Fault::Lasting(ImportError::malformed(self.place(), "no URL can be made of it")))
    }

    /// Sends a request, with a token if the registry wants one. Any answer but a refusal of who we are is the caller's.
    pub(super) fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, Fault> {
        let registry = Origin::of(&self.url("")?);
        let asker = Asker::new(&self.endpoint, &self.wire, self.place(), self.actions);
        let mut url = request.url.clone();
        let (mut refused, mut redirects) = (0, 0);
        loop {
            let is_own = Origin::of(&url) == registry;
            let held = self.keeper.held(&asker)?;
            let authorization = held.header.as_ref().filter(|_| is_own);
            let mut answer =
                self.wire.exchange(request, &url, authorization, is_own, self.settings().cancel.as_ref())?;
            match answer.status() {
                // Twice: a token for one thing may be followed by one for two.
                StatusCode::UNAUTHORIZED if is_own && refused < 2 => {
                    refused += 1;
                    answer.drain();
                    self.keeper.answer(&asker, &held, &answer)?;
                }
                status if is_redirect(status, &request.method) => {
                    redirects += 1;
                    if redirects > REDIRECTS {
                        let reason = format!("more than {REDIRECTS} redirects");
                        return Err(Fault::Lasting(ImportError::unreachable(
                            Shown(request.url).to_string(),
                            reason,
                        )));
                    }
                    url = location(&mut answer)?;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> Secrets {
        self.keeper.secrets(self.endpoint.credentials.as_ref())
    }

    /// What an answer that is of no use says. `what` was wanted.
    pub(super) fn refused(&self, answer: Answer, what: &str) -> Fault {
        refusal(answer, what, self.place(), &self.secrets())
    }
}

/// Whether the request is to be sent again elsewhere. A 301, 302 or 303 would turn one with a body into a read.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    let reads = *method == Method::HEAD || *method == Method::GET;
    matches!(status.as_u16(), 307 | 308) || (reads && matches!(status.as_u16(), 301..=303))
}

/// Where an answer's `Location` leads.
pub(super) fn location(answer: &mut Answer) -> Result<Uri, Fault> {
    let place = || Shown(&answer.url).to_string();
    let Some(location) = answer.header(header::LOCATION).map(str::to_owned) else {
        let what = format!("the answer of {}", place());
        return Err(Fault::Lasting(ImportError::malformed(what, "it has no Location")));
    };
    answer.drain();
    follow(&answer.url, &location)
        .map_err(|reason| Fault::Lasting(ImportError::insecure(Shown(&answer.url).to_string(), reason)))
}

/// A part of a file as a body.
pub(super) struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
    sent: &'a (dyn Fn(u64) + Sync),
    cancel: Option<&'a CancelToken>,
}

impl<'a> Part<'a> {
    pub(super) fn new(
        file: &'a File,
        from: u64,
        len: u64,
        sent: &'a (dyn Fn(u64) + Sync),
        cancel: Option<&'a CancelToken>,
    ) -> Self {
        Self { file, at: from, left: len, sent, cancel }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(io::Error::other("cancelled"));
        }
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        let count = self.file.read_at(self.at, room).map_err(io::Error::other)?;
        if count == 0 && self.left > 0 {
            // A body that ends before its length would be waited for.
            return Err(io::Error::other("the file became shorter"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        (self.sent)(self.at);
        Ok(count)
    }
}
