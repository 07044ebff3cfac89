//! PAX extended headers: their records, and what those say about the next entry.
//!
//! Rules: POSIX.1-2017 `pax`, "pax Extended Header", as Go's `archive/tar` reads them: of two records with one key the
//! last counts, an empty value takes the header's own value back into force.

use std::ops::Range;

use super::number::{decimal, natural, pax_time};
use super::percent::decode_percent;
use super::sparse_map::{Segment, SparseMap};
use super::{Reason, Warning, Warnings, Xattrs};
use crate::Limits;
use crate::base64::decode_base64;
use sealstone_store::tree::Timestamp;

/// The records of an extended header, in order.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    /// Key and value.
    type Item = Result<(&'a [u8], &'a [u8]), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.split_record();
        if record.is_err() {
            self.0 = &[];
        }
        Some(record)
    }
}

impl<'a> Records<'a> {
    /// Takes one `LENGTH KEY=VALUE\n`, where the length counts all of it.
    fn split_record(&mut self) -> Result<(&'a [u8], &'a [u8]), Reason> {
        const LENGTH: Reason = Reason::ExtendedHeader("a record's length is not its length");
        let blank = self.0.iter().take(20).position(|byte| *byte == b' ').ok_or(LENGTH)?;
        let (digits, _) = self.0.split_at_checked(blank).ok_or(LENGTH)?;
        let len = natural(digits).and_then(|len| usize::try_from(len).ok()).ok_or(LENGTH)?;
        let (record, rest) = self.0.split_at_checked(len).ok_or(LENGTH)?;
        let record = record.get(blank + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(LENGTH)?;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = equals
            .and_then(|equals| record.split_at_checked(equals))
            .ok_or(Reason::ExtendedHeader("a record has no \"=\""))?;
        if key.is_empty() || key.contains(&0) {
            return Err(Reason::ExtendedHeader("a record's key is empty or holds a NUL byte"));
        }
        self.0 = rest;
        Ok((key, value.get(1..).unwrap_or_default()))
    }
}

/// What an `x` header says about the next entry; `None` and empty where it says nothing.
#[derive(Debug, Default)]
pub(super) struct Pax {
    /// The header's body, which the ranges below point into.
    text: Vec<u8>,
    path: Range<usize>,
    link_path: Range<usize>,
    sparse_name: Range<usize>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) sparse: PaxSparse,
    pub(super) xattrs: Xattrs,
    /// Whether an attribute came in libarchive's spelling alone.
    pub(super) has_decoded_xattr: bool,
}

/// The `GNU.sparse.*` records.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    major: Option<u64>,
    minor: Option<u64>,
    /// `GNU.sparse.size` (0.0, 0.1).
    size: Option<u64>,
    /// `GNU.sparse.realsize` (1.0).
    real_size: Option<u64>,
    /// `GNU.sparse.numblocks`.
    count: Option<u64>,
    /// From `GNU.sparse.map`, or `GNU.sparse.offset` and `GNU.sparse.numbytes`.
    map: Option<SparseMap>,
    /// An offset whose length has not come yet.
    offset: Option<u64>,
    /// Whether there is a `GNU.sparse.name`.
    has_name: bool,
}

/// Which sparse format the records announce.
pub(super) enum SparseFormat {
    /// 0.0 or 0.1: the records hold the map.
    InRecords { size: Option<u64> },
    /// 1.0: the body starts with the map.
    InBody { size: Option<u64> },
}

impl Pax {
    pub(super) fn path(&self) -> &[u8] {
        let name = self.text.get(self.sparse_name.clone()).unwrap_or_default();
        if name.is_empty() { self.text.get(self.path.clone()).unwrap_or_default() } else { name }
    }

    pub(super) fn link_path(&self) -> &[u8] {
        self.text.get(self.link_path.clone()).unwrap_or_default()
    }

    /// Forgets all, keeping the buffers.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.xattrs.clear();
        let text = std::mem::take(&mut self.text);
        let xattrs = std::mem::take(&mut self.xattrs);
        *self = Self { text, xattrs, ..Self::default() };
    }

    /// Reads the body of an `x` header, in place of all said before.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        limits: &Limits,
        warnings: &mut Warnings,
    ) -> Result<(), Reason> {
        self.clear();
        self.text.extend_from_slice(text);
        let mut has_libarchive = false;
        let mut records = Records(text);
        while let Some(record) = records.next() {
            let (key, value) = record?;
            let end = text.len() - records.0.len();
            // The value ends before the record's newline.
            let range = end - 1 - value.len()..end - 1;
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                self.xattrs.set(name, value, limits)?;
            } else if key.starts_with(b"LIBARCHIVE.xattr.") {
                has_libarchive = true;
            } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                self.read_sparse(key, value, range, limits)?;
            } else {
                self.read_plain(key, value, range, warnings)?;
            }
        }
        if has_libarchive { self.read_libarchive(text, limits) } else { Ok(()) }
    }

    fn read_plain(
        &mut self,
        key: &[u8],
        value: &[u8],
        range: Range<usize>,
        warnings: &mut Warnings,
    ) -> Result<(), Reason> {
        // An empty value deletes: what stands in the header counts again.
        let given = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = range,
            b"linkpath" => self.link_path = range,
            b"size" => self.size = parse(given, natural, "PAX size")?,
            b"uid" => self.uid = parse(given, |text| owner(decimal(text)?), "PAX uid")?,
            b"gid" => self.gid = parse(given, |text| owner(decimal(text)?), "PAX gid")?,
            b"mtime" => self.mtime = parse(given, pax_time, "PAX mtime")?,
            _ if is_lost(key) => warnings.add(Warning::ignored_record(key))?,
            // atime, ctime, uname, gname, comment, charset, vendors' own: nothing that an image keeps.
            _ => {}
        }
        Ok(())
    }

    fn read_sparse(
        &mut self,
        key: &[u8],
        value: &[u8],
        range: Range<usize>,
        limits: &Limits,
    ) -> Result<(), Reason> {
        let given = (!value.is_empty()).then_some(value);
        let sparse = &mut self.sparse;
        let number = || parse(given, natural, "GNU.sparse number");
        match key {
            b"major" => sparse.major = number()?,
            b"minor" => sparse.minor = number()?,
            b"name" => {
                self.sparse_name = range;
                sparse.has_name = given.is_some();
            }
            b"size" => sparse.size = number()?,
            b"realsize" => sparse.real_size = number()?,
            b"numblocks" => sparse.count = number()?,
            b"offset" if sparse.offset.is_none() => sparse.offset = number()?,
            b"numbytes" => {
                let (Some(offset), Some(len)) = (sparse.offset.take(), number()?) else {
                    return Err(Reason::Sparse("a length without an offset"));
                };
                let map = sparse.map.get_or_insert_default();
                map.push(Segment { offset, len }, limits.sparse_segments)?;
            }
            b"map" => sparse.read_map(value, limits)?,
            _ => return Err(Reason::Sparse("a record that is neither of format 0.0, 0.1 nor 1.0")),
        }
        Ok(())
    }

    fn read_libarchive(&mut self, text: &[u8], limits: &Limits) -> Result<(), Reason> {
        let (mut name, mut decoded) = (Vec::new(), Vec::new());
        for record in Records(text) {
            let (key, value) = record?;
            let Some(key) = key.strip_prefix(b"LIBARCHIVE.xattr.") else { continue };
            name.clear();
            decoded.clear();
            decode_percent(key, &mut name)
                .and_then(|()| decode_base64(value, &mut decoded))
                .ok_or(Reason::ExtendedHeader("a LIBARCHIVE.xattr record is not base64"))?;
            // libarchive writes each attribute in both ways: SCHILY's is the one that all other readers take.
            if self.xattrs.get(&name).is_none() {
                self.xattrs.set(&name, &decoded, limits)?;
                self.has_decoded_xattr = true;
            }
        }
        Ok(())
    }
}

impl PaxSparse {
    /// Reads `offset,length,offset,length,…`.
    fn read_map(&mut self, value: &[u8], limits: &Limits) -> Result<(), Reason> {
        let mut map = SparseMap::default();
        let mut numbers = value.split(|byte| *byte == b',').filter(|_| !value.is_empty()).map(natural);
        while let Some(offset) = numbers.next() {
            let (Some(offset), Some(len)) = (offset, numbers.next().flatten()) else {
                return Err(Reason::Sparse("GNU.sparse.map is not a list of offsets and lengths"));
            };
            map.push(Segment { offset, len }, limits.sparse_segments)?;
        }
        self.map = Some(map);
        Ok(())
    }

    /// The format, if the records announce a sparse file.
    pub(super) fn format(&self) -> Result<Option<SparseFormat>, Reason> {
        let size = self.size.or(self.real_size);
        match (self.major, self.minor) {
            (Some(1), Some(0)) => Ok(Some(SparseFormat::InBody { size })),
            (None, None) | (Some(0), Some(0 | 1)) if self.map.is_some() => {
                Ok(Some(SparseFormat::InRecords { size }))
            }
            (None, None)
                if size.is_none() && self.count.is_none() && self.offset.is_none() && !self.has_name =>
            {
                Ok(None)
            }
            // Taking these for plain files, as Go does, would give the packed bytes for the file's.
            (None, None) | (Some(0), Some(0 | 1)) => Err(Reason::Sparse("the map is missing")),
            _ => Err(Reason::Sparse("neither format 0.0, 0.1 nor 1.0")),
        }
    }

    /// Moves the map out of the records.
    pub(super) fn take_map(&mut self) -> Result<SparseMap, Reason> {
        let map = self.map.take().unwrap_or_default();
        if self.offset.is_some() || self.count.is_some_and(|count| count != map.segments().len() as u64) {
            return Err(Reason::Sparse("there are not as many segments as announced"));
        }
        Ok(map)
    }
}

/// A user or group id: what fits 32 bits and is not `(uid_t) -1`, which means "unchanged" to the kernel.
pub(super) fn owner(id: i64) -> Option<u32> {
    u32::try_from(id).ok().filter(|id| *id != u32::MAX)
}

/// Whether a record says something of the file that an image could keep, but ours does not.
fn is_lost(key: &[u8]) -> bool {
    matches!(key, b"SCHILY.fflags" | b"RHT.security.selinux") || key.starts_with(b"SCHILY.acl.")
}

/// Checks the records of a global header. They are ignored, as all readers of layers do.
pub(super) fn read_global(text: &[u8], warnings: &mut Warnings) -> Result<(), Reason> {
    for record in Records(text) {
        let (key, _) = record?;
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
            warnings.add(Warning::global_override(key))?;
        }
    }
    Ok(())
}

fn parse<T>(
    given: Option<&[u8]>,
    parser: impl Fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, Reason> {
    given.map(|text| parser(text).ok_or(Reason::Number(what))).transpose()
}
