//! [`RegistryBlob`]: a blob on its way from a registry, which survives broken connections.
//!
//! A connection that breaks or stalls is replaced by one that goes on where it ended, by `Range`; whoever reads sees one
//! unbroken stream, so a decoder and a hasher keep their state. Invariants: nothing is asked for beyond the end (a registry
//! answers 416 there, with a length that lies); a part that is not the one asked for is never passed on.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use ureq::{
    BodyReader,
    http::{StatusCode, header},
};

use super::{Timeouts, client::Client, fault::Fault, origin::Shown, retry::Attempts, wire::Answer};
use crate::{
    Digest,
    error::{ImportError, Result},
    oci::Descriptor,
    source::Blob,
};

/// Progress between two failures after which they are not counted together, in bytes.
const PROGRESS: u64 = 1 << 20;

/// Bytes read at a time of what is to be dropped.
const DROPPED: usize = 64 << 10;

/// A blob, or a part of one.
pub(super) struct RegistryBlob<'a> {
    client: &'a Client,
    digest: Digest,
    /// Of the whole blob, in bytes.
    size: u64,
    /// Where the next byte comes from.
    at: u64,
    /// Where reading ends: with what lies there, if the blob is read whole, since more than promised has to be seen.
    end: u64,
    body: Option<Stream>,
    attempts: Attempts<'a>,
    /// Where the last failure was.
    failed_at: u64,
}

/// An answer's body.
struct Stream {
    reader: BodyReader<'static>,
    place: String,
    /// Whether it ends where the blob, or its part, does.
    is_exact: bool,
    /// The window in which too few bytes are a stall.
    since: Instant,
    bytes: u64,
}

impl<'a> RegistryBlob<'a> {
    /// Asks for a blob.
    pub(super) fn open(client: &'a Client, descriptor: &Descriptor) -> Result<Self> {
        let mut blob = Self::new(client, descriptor, 0, descriptor.size());
        // Nothing has to be asked for that is empty: its digest is known.
        while blob.body.is_none() && blob.size > 0 {
            blob.attempts.check()?;
            if let Err(fault) = blob.connect() {
                blob.attempts.pause(fault)?;
            }
        }
        Ok(blob)
    }

    /// Asks for `len` bytes from `offset` on; `None` if the registry does not serve parts.
    pub(super) fn open_part(
        client: &'a Client,
        descriptor: &Descriptor,
        offset: u64,
        len: u64,
    ) -> Result<Option<Self>> {
        let end = offset.checked_add(len).filter(|end| *end <= descriptor.size() && len > 0);
        let Some(end) = end else {
            let what = format!("part {offset}+{len} of blob {}", descriptor.digest());
            return Err(ImportError::TooBig { what, limit: descriptor.size() });
        };
        let mut blob = Self::new(client, descriptor, offset, end);
        loop {
            blob.attempts.check()?;
            match blob.ask() {
                Ok(answer) if answer.status() != StatusCode::PARTIAL_CONTENT => return Ok(None),
                Ok(answer) => match blob.accept(answer) {
                    Ok(()) => return Ok(Some(blob)),
                    Err(fault) => blob.attempts.pause(fault)?,
                },
                Err(fault) => blob.attempts.pause(fault)?,
            }
        }
    }

    fn new(client: &'a Client, descriptor: &Descriptor, at: u64, end: u64) -> Self {
        Self {
            client,
            digest: *descriptor.digest(),
            size: descriptor.size(),
            at,
            end,
            body: None,
            attempts: client.attempts(),
            failed_at: at,
        }
    }

    const fn is_whole(&self) -> bool {
        self.end == self.size
    }

    /// Asks for what is missing.
    fn ask(&self) -> Result<Answer, Fault> {
        let range = match (self.at, self.is_whole()) {
            (0, true) => None,
            (at, true) => Some(format!("bytes={at}-")),
            (at, false) => Some(format!("bytes={at}-{}", self.end.saturating_sub(1))),
        };
        self.client.blob(&self.digest.to_string(), range.as_deref())
    }

    fn connect(&mut self) -> Result<(), Fault> {
        let answer = self.ask()?;
        if answer.status() != StatusCode::RANGE_NOT_SATISFIABLE {
            return self.accept(answer);
        }
        // A server that cannot go on may still be able to begin again.
        let answer = self.client.blob(&self.digest.to_string(), None)?;
        self.accept(answer)
    }

    /// Takes up an answer, after comparing it with what was asked for.
    fn accept(&mut self, answer: Answer) -> Result<(), Fault> {
        let place = Shown(&answer.url).to_string();
        let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
        let stated = answer.header(header::CONTENT_LENGTH).and_then(|value| value.parse::<u64>().ok());
        if is_part {
            let range = answer.header(header::CONTENT_RANGE).and_then(ContentRange::parse);
            let fits = range.is_some_and(|range| {
                range.first == self.at
                    && range.last.checked_add(1) == Some(self.end)
                    && range.size.is_none_or(|size| size == self.size)
            });
            if !fits {
                let reason = "it is another part of the blob than was asked for";
                return Err(Fault::Lasting(ImportError::malformed(format!("the answer of {place}"), reason)));
            }
        }
        let expected = if is_part { self.end - self.at } else { self.size };
        if let Some(actual) = stated.filter(|stated| *stated != expected) {
            let what = format!("blob {}", self.digest);
            return Err(Fault::Lasting(ImportError::Size { what, expected, actual }));
        }
        let skip = if is_part { 0 } else { self.at };
        // Without a limit of its own: `read` ends at the blob's.
        let reader = answer.response.into_body().into_with_config().limit(u64::MAX).reader();
        let is_exact = is_part || self.is_whole();
        let mut stream = Stream { reader, place, is_exact, since: Instant::now(), bytes: 0 };
        stream.skip(skip, self.client.settings().timeouts.stall)?;
        self.body = Some(stream);
        Ok(())
    }

    /// The connection is of no use any more.
    fn give_up(&mut self, fault: Fault) -> Result<()> {
        self.body = None;
        if self.at - self.failed_at >= PROGRESS {
            self.attempts.forget();
        }
        self.failed_at = self.at;
        self.attempts.pause(fault)
    }
}

impl Blob for RegistryBlob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let stall = self.client.settings().timeouts.stall;
        loop {
            self.attempts.check()?;
            let left = self.end.saturating_sub(self.at);
            let Some(stream) = &mut self.body else {
                if left == 0 {
                    return Ok(0);
                }
                if let Err(fault) = self.connect() {
                    self.give_up(fault)?;
                }
                continue;
            };
            if left == 0 && !stream.is_exact {
                self.body = None;
                return Ok(0);
            }
            // At the end, one byte more is asked for: it tells a blob that is too long, and a connection that is free.
            let wanted = match usize::try_from(left) {
                Ok(0) => 1,
                Ok(left) => left.min(buffer.len()),
                Err(_) => buffer.len(),
            };
            match stream.read(buffer.get_mut(..wanted).unwrap_or_default(), stall) {
                Ok(0) if left == 0 || buffer.is_empty() => {
                    self.body = None;
                    return Ok(0);
                }
                Ok(0) => {
                    let fault = Fault::passing(stream.place.clone(), "it ended too early");
                    self.give_up(fault)?;
                }
                Ok(count) => {
                    self.at += count as u64;
                    return Ok(count);
                }
                // All bytes are there; how the connection ended is of no matter.
                Err(_) if left == 0 => {
                    self.body = None;
                    return Ok(0);
                }
                Err(fault) => self.give_up(fault)?,
            }
        }
    }
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8], stall: Duration) -> Result<usize, Fault> {
        let count = self.reader.read(buffer).map_err(|error| Fault::of_io(self.place.clone(), &error))?;
        self.bytes += count as u64;
        if self.since.elapsed() >= stall {
            if self.bytes < Timeouts::STALL_BYTES {
                return Err(Fault::passing(self.place.clone(), "it has stalled"));
            }
            self.since = Instant::now();
            self.bytes = 0;
        }
        Ok(count)
    }

    /// Drops the first bytes: a server that does not know `Range` sends them again.
    fn skip(&mut self, mut left: u64, stall: Duration) -> Result<(), Fault> {
        let mut dropped = vec![0; usize::try_from(left).unwrap_or(DROPPED).min(DROPPED)];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(DROPPED).min(DROPPED);
            match self.read(dropped.get_mut(..wanted).unwrap_or_default(), stall)? {
                0 => return Err(Fault::passing(self.place.clone(), "it ended too early")),
                count => left -= count as u64,
            }
        }
        Ok(())
    }
}

/// `Content-Range: bytes FIRST-LAST/SIZE` (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    /// `None` where the server says `*`.
    size: Option<u64>,
}

impl ContentRange {
    fn parse(value: &str) -> Option<Self> {
        let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let size = if size == "*" { None } else { Some(size.parse().ok()?) };
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_is_none() {
        let range = ContentRange { first: 5, last: 9, size: Some(10) };
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Some(range));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), Some(ContentRange { size: None, ..range }));
        for bad in ["", "bytes */10", "bytes 5-/10", "items 5-9/10", "bytes 5-9", "bytes -5-9/10"] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }
}
