//! [`Upload`]: one blob on its way into a repository (distribution-spec, "Push").
//!
//! A session is begun by `POST`, fed by `PATCH` in chunks, and ended by `PUT` with the digest. After a failure that may
//! pass, the session is asked how far it is and goes on there; one that the registry has forgotten begins anew. Small
//! blobs, and those of a registry that takes no chunks, go whole with the `PUT`.
//! Invariants: an answer's `Location` is where the next request goes, on whatever host, and credentials only to the
//! registry's own; a blob is done only when the registry has confirmed its digest.

use std::sync::{Mutex, PoisonError};

use sealstone_store::{control::Task, disk::File};
use ureq::http::{Method, StatusCode, Uri, header};

use super::super::{
    answer::refusal,
    client::Client,
    exchange::{Exchange, Payload, location},
    fault::Fault,
    origin::Shown,
    wire::Answer,
};
use crate::{
    Digest,
    error::{ImportError, Result},
};

/// Progress between two failures after which they are not counted together, in bytes.
const PROGRESS: u64 = 1 << 20;

/// The bytes of a blob.
#[derive(Clone, Copy)]
pub(super) enum Bytes<'a> {
    Memory(&'a [u8]),
    File(&'a File, u64),
}

impl Bytes<'_> {
    const fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }
}

/// What is known of the session at the registry.
enum Session {
    None,
    /// Fed up to `at`.
    At {
        location: Uri,
        at: u64,
    },
    /// Something failed: how far it is fed has to be asked.
    Lost(Uri),
}

/// A blob to be sent.
pub(super) struct Upload<'a> {
    client: &'a Client,
    digest: Digest,
    bytes: Bytes<'a>,
    session: Session,
    /// The registry takes no chunks.
    whole: bool,
    /// With the bytes that it was told.
    task: Mutex<(Task, u64)>,
}

impl<'a> Upload<'a> {
    /// A blob of which nothing was sent.
    pub(super) fn new(client: &'a Client, digest: &Digest, bytes: Bytes<'a>, task: Task) -> Self {
        let whole = bytes.len() <= client.settings().upload.whole;
        let session = Session::None;
        Self { client, digest: *digest, bytes, session, whole, task: Mutex::new((task, 0)) }
    }

    /// Sends it, however often it takes.
    pub(super) fn run(mut self) -> Result<()> {
        let mut attempts = self.client.attempts();
        let mut failed_at = 0;
        loop {
            attempts.check()?;
            match self.step() {
                Ok(true) => break,
                Ok(false) => {}
                Err(fault) => {
                    let at = self.fed();
                    if at >= failed_at + PROGRESS {
                        attempts.forget();
                    }
                    failed_at = at;
                    if let Session::At { location, .. } = std::mem::replace(&mut self.session, Session::None)
                    {
                        self.session = Session::Lost(location);
                    }
                    attempts.pause(fault)?;
                }
            }
        }
        self.task.into_inner().unwrap_or_else(PoisonError::into_inner).0.finish();
        Ok(())
    }

    const fn fed(&self) -> u64 {
        match self.session {
            Session::At { at, .. } => at,
            _ => 0,
        }
    }

    /// One request; true when the registry has the blob.
    fn step(&mut self) -> Result<bool, Fault> {
        let whole = self.bytes.len();
        match &self.session {
            Session::None => self.begin(),
            Session::Lost(location) if self.whole => {
                self.abandon(&location.clone());
                Ok(false)
            }
            Session::Lost(location) => self.ask(&location.clone()),
            Session::At { location, at } if self.whole || *at >= whole => self.end(&location.clone(), *at),
            Session::At { location, at } => self.feed(&location.clone(), *at),
        }
    }

    fn begin(&mut self) -> Result<bool, Fault> {
        let url = self.client.url("blobs/uploads/")?;
        self.session = Session::At { location: begin(self.client, &url)?, at: 0 };
        Ok(false)
    }

    /// How far the session is. One that is not known any more begins anew.
    fn ask(&mut self, url: &Uri) -> Result<bool, Fault> {
        let request = Exchange { method: Method::GET, url, headers: &[], body: Payload::None };
        let mut answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::NO_CONTENT | StatusCode::ACCEPTED | StatusCode::OK => {
                // `0-0` is said for nothing as well as for one byte: then it is begun anew.
                match fed(&answer).filter(|at| *at > 1 && *at <= self.bytes.len()) {
                    Some(at) => {
                        let location = next_location(&mut answer, url)?;
                        self.session = Session::At { location, at };
                    }
                    None => self.abandon(url),
                }
                Ok(false)
            }
            status if status.is_client_error() => {
                answer.drain();
                self.session = Session::None;
                Ok(false)
            }
            _ => Err(self.client.refused(answer, &self.what())),
        }
    }

    /// Tells the registry that a session is over, if it listens.
    fn abandon(&mut self, url: &Uri) {
        abandon(self.client, url);
        self.session = Session::None;
    }

    fn feed(&mut self, url: &Uri, at: u64) -> Result<bool, Fault> {
        let len = self.client.settings().upload.chunk.max(1).min(self.bytes.len() - at);
        let range = format!("{at}-{}", (at + len).saturating_sub(1));
        let headers =
            [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_RANGE, range.as_str())];
        let sent = |at| self.sent(at);
        let body = self.part(at, len, &sent);
        let request = Exchange { method: Method::PATCH, url, headers: &headers, body };
        let mut answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT | StatusCode::CREATED => {
                // What it says that it has counts, if that is less.
                let at = fed(&answer).filter(|said| *said > at).map_or(at + len, |said| said.min(at + len));
                let location = next_location(&mut answer, url)?;
                self.session = Session::At { location, at };
                Ok(false)
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED | StatusCode::BAD_REQUEST
                if at == 0 =>
            {
                answer.drain();
                self.whole = true;
                self.abandon(url);
                Ok(false)
            }
            // It is elsewhere than we are, or has forgotten the session: to be asked.
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
                let reason = format!("it does not go on at byte {at}: {}", answer.status());
                Err(Fault::passing(Shown(&answer.url).to_string(), reason))
            }
            _ => Err(self.client.refused(answer, &self.what())),
        }
    }

    /// Ends the session, with what is left of the blob.
    fn end(&mut self, location: &Uri, at: u64) -> Result<bool, Fault> {
        let joint = if location.query().is_some() { '&' } else { '?' };
        let url: Uri = format!("{location}{joint}digest={}", self.digest).parse().map_err(|_| {
            Fault::Lasting(ImportError::malformed(
                format!("the answer of {}", Shown(location)),
                "its Location is no URL",
            ))
        })?;
        let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
        let sent = |at| self.sent(at);
        let body = self.part(at, self.bytes.len() - at, &sent);
        let request = Exchange { method: Method::PUT, url: &url, headers: &headers, body };
        let mut answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::ACCEPTED => {
                confirm(&answer, &self.digest, &self.what())?;
                answer.drain();
                self.sent(self.bytes.len());
                Ok(true)
            }
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::BAD_REQUEST => {
                let fault = refusal(answer, &self.what(), self.client.place(), &self.client.secrets());
                let (Fault::Lasting(error) | Fault::Passing { error, .. }) = fault;
                Err(Fault::Passing { error, wait: None })
            }
            _ => Err(self.client.refused(answer, &self.what())),
        }
    }

    fn part<'b>(&'b self, at: u64, len: u64, sent: &'b (dyn Fn(u64) + Sync)) -> Payload<'b> {
        match self.bytes {
            Bytes::Memory(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                Payload::Bytes(usize::try_from(len).ok().and_then(|len| rest.get(..len)).unwrap_or_default())
            }
            Bytes::File(_, _) if len == 0 => Payload::Bytes(&[]),
            Bytes::File(file, _) => Payload::Part { file, from: at, len, sent },
        }
    }

    /// Progress: what is sent again is not counted again.
    fn sent(&self, at: u64) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let more = at.saturating_sub(task.1);
        task.1 += more;
        task.0.advance(more);
    }

    fn what(&self) -> String {
        format!("blob {}", self.digest)
    }
}

/// Begins a session; gives where to feed it.
pub(super) fn begin(client: &Client, url: &Uri) -> Result<Uri, Fault> {
    let request = Exchange { method: Method::POST, url, headers: &[], body: Payload::Bytes(&[]) };
    let mut answer = client.exchange(&request)?;
    match answer.status() {
        StatusCode::ACCEPTED => location(&mut answer),
        _ => Err(no_push(client, answer, "place for an upload")),
    }
}

/// What a refusal to begin means: one that takes no pushes at all says so by a status of its own.
pub(super) fn no_push(client: &Client, answer: Answer, what: &str) -> Fault {
    if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
        return client.refused(answer, what);
    }
    let reason = match client.refused(answer, what) {
        Fault::Lasting(ImportError::Unreachable { reason, .. }) => reason,
        _ => StatusCode::METHOD_NOT_ALLOWED.to_string(),
    };
    let reason = format!("it takes no pushes, it may be read-only or a mirror: {reason}");
    Fault::Lasting(ImportError::unsupported(format!("pushing to {}", client.place()), reason))
}

/// Ends a session without a blob. Registries forget sessions after a while as well.
pub(super) fn abandon(client: &Client, url: &Uri) {
    let request = Exchange { method: Method::DELETE, url, headers: &[], body: Payload::None };
    if let Ok(mut answer) = client.exchange(&request) {
        answer.drain();
    }
}

/// Compares the digest that a registry says that it stored.
pub(super) fn confirm(answer: &Answer, digest: &Digest, what: &str) -> Result<(), Fault> {
    let said = answer.header(header::HeaderName::from_static("docker-content-digest"));
    match said.map(str::parse::<Digest>) {
        None => Ok(()),
        Some(Ok(said)) if said == *digest || said.algorithm() != digest.algorithm() => Ok(()),
        Some(Ok(said)) => Err(Fault::Lasting(ImportError::digest(
            format!("{what} at {}", Shown(&answer.url)),
            digest,
            &said,
        ))),
        Some(Err(error)) => {
            let what = format!("the answer of {}", Shown(&answer.url));
            Err(Fault::Lasting(ImportError::malformed(what, error.to_string())))
        }
    }
}

/// Where to go on: a registry may leave it as it is.
fn next_location(answer: &mut Answer, url: &Uri) -> Result<Uri, Fault> {
    if answer.header(header::LOCATION).is_some() {
        return location(answer);
    }
    answer.drain();
    Ok(url.clone())
}

/// How many bytes a registry has, by `Range: 0-LAST`.
fn fed(answer: &Answer) -> Option<u64> {
    let value = answer.header(header::RANGE)?.trim();
    let (first, last) = value.strip_prefix("bytes=").unwrap_or(value).split_once('-')?;
    if first != "0" {
        return None;
    }
    last.parse::<u64>().ok()?.checked_add(1)
}
