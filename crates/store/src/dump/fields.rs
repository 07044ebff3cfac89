//! The fields of one line of a dump, read by name.

use std::{borrow::Cow, str::FromStr};

use super::{error::DumpProblem, escape::unescape};
use crate::tree::Timestamp;

/// The longest path in bytes (`PATH_MAX` of `linux/limits.h`).
const PATH_MAX: usize = 4096;

/// The name and value of an extended attribute.
pub(super) type Xattr<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// What is left of a line.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }

    /// The next field as it stands.
    pub(super) fn next(&mut self, name: &'static str) -> Result<&'a [u8], DumpProblem> {
        let rest = self.rest.ok_or(DumpProblem::Field(name))?;
        let mut parts = rest.splitn(2, |byte| *byte == b' ');
        let field = parts.next().ok_or(DumpProblem::Field(name))?;
        self.rest = parts.next();
        Ok(field)
    }

    /// A decimal number.
    pub(super) fn number<N: FromStr>(&mut self, name: &'static str) -> Result<N, DumpProblem> {
        number(self.next(name)?, name)
    }

    /// `SECONDS.NANOSECONDS`.
    pub(super) fn time(&mut self) -> Result<Timestamp, DumpProblem> {
        const NAME: &str = "mtime";
        let field = self.next(NAME)?;
        let mut parts = field.splitn(2, |byte| *byte == b'.');
        let mut part = || parts.next().ok_or(DumpProblem::Field(NAME));
        let (sec, nsec) = (number(part()?, NAME)?, number(part()?, NAME)?);
        if nsec >= 1_000_000_000 {
            return Err(DumpProblem::Field(NAME));
        }
        Ok(Timestamp { sec, nsec })
    }

    /// Bytes, or none for `-`.
    pub(super) fn optional(&mut self, name: &'static str) -> Result<Option<Cow<'a, [u8]>>, DumpProblem> {
        match self.next(name)? {
            b"-" => Ok(None),
            field => unescape(field).map(Some).ok_or(DumpProblem::Field(name)),
        }
    }

    /// A path from the root without detours: `/` or `/a/b`.
    pub(super) fn path(&mut self, name: &'static str) -> Result<Cow<'a, [u8]>, DumpProblem> {
        let path = unescape(self.next(name)?).ok_or(DumpProblem::Field(name))?;
        let mut parts = path.split(|byte| *byte == b'/');
        let is_absolute = parts.next() == Some(b"");
        let is_plain = *path == *b"/" || parts.all(|part| !matches!(part, b"" | b"." | b".."));
        if is_absolute && is_plain && path.len() <= PATH_MAX {
            Ok(path)
        } else {
            Err(DumpProblem::Field(name))
        }
    }

    /// The name and value of the next extended attribute, if there is one more.
    pub(super) fn xattr(&mut self) -> Result<Option<Xattr<'a>>, DumpProblem> {
        const NAME: &str = "extended attribute";
        if self.rest.is_none() {
            return Ok(None);
        }
        let mut parts = self.next(NAME)?.splitn(2, |byte| *byte == b'=');
        let mut part = || parts.next().and_then(unescape).ok_or(DumpProblem::Field(NAME));
        Ok(Some((part()?, part()?)))
    }
}

fn number<N: FromStr>(field: &[u8], name: &'static str) -> Result<N, DumpProblem> {
    str::from_utf8(field).ok().and_then(|field| field.parse().ok()).ok_or(DumpProblem::Field(name))
}
