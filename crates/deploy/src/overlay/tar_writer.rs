//! Tars that we write: POSIX pax interchange format, in the order of the caller, with times of 1970 and no names of users.
//!
//! What lives here: extended headers where a field is too small, padding. What does not: the header's block (import). Invariant: the same entries give the same
//! bytes. Source: POSIX.1-2017 pax; `SCHILY.xattr.` as GNU tar and Go write it.

use std::borrow::Cow;

use sealstone_import::tar::Ustar;
use sealstone_store::disk::File;

use crate::DeployError;

/// How much of a file is copied at a time, in bytes.
const STEP: usize = 256 << 10;

/// What an entry is.
pub(super) enum Kind<'a> {
    Folder,
    Symlink(&'a [u8]),
    /// Another name of an entry before it.
    Link(&'a [u8]),
    Bytes(&'a [u8]),
    /// A file, of which this many bytes are taken.
    File(&'a File, u64),
}

/// One entry. The path has no slash at its ends.
pub(super) struct Entry<'a> {
    pub path: &'a [u8],
    pub kind: Kind<'a>,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Extended attributes, sorted.
    pub xattrs: &'a [Xattr],
}

/// Name and value of an extended attribute.
pub(super) type Xattr = (Vec<u8>, Vec<u8>);

/// Writes a tar into a file.
pub(super) struct TarWriter<'a> {
    file: &'a File,
    at: u64,
    buffer: Vec<u8>,
}

impl<'a> TarWriter<'a> {
    pub(super) const fn new(file: &'a File) -> Self {
        Self { file, at: 0, buffer: Vec::new() }
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// When the disk fails, or a file ends before the size that it was said to have.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), DeployError> {
        let (letter, target, size) = match entry.kind {
            Kind::Folder => (b'5', &b""[..], 0),
            Kind::Symlink(target) => (b'2', target, 0),
            Kind::Link(target) => (b'1', target, 0),
            Kind::Bytes(bytes) => (b'0', &b""[..], bytes.len() as u64),
            Kind::File(_, size) => (b'0', &b""[..], size),
        };
        let path: Cow<'_, [u8]> = match entry.kind {
            Kind::Folder => [entry.path, b"/"].concat().into(),
            _ => entry.path.into(),
        };
        let mut records = Vec::new();
        for (key, value) in [(&b"path"[..], &*path), (b"linkpath", target)] {
            if value.len() > Ustar::NAME_MAX || !value.is_ascii() {
                record(&mut records, key, value);
            }
        }
        for (key, value) in [("uid", entry.uid), ("gid", entry.gid)] {
            if value > Ustar::OWNER_MAX {
                record(&mut records, key.as_bytes(), value.to_string().as_bytes());
            }
        }
        if size > Ustar::SIZE_MAX {
            record(&mut records, b"size", size.to_string().as_bytes());
        }
        for (key, value) in entry.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", &key[..]].concat(), value);
        }
        if !records.is_empty() {
            let size = records.len() as u64;
            let header = Ustar { kind: b'x', path: b"pax", target: b"", mode: 0o644, uid: 0, gid: 0, size };
            self.write(&header.block())?;
            self.write(&records)?;
            self.pad();
        }
        let Entry { mode, uid, gid, .. } = *entry;
        // What a field cannot hold is cut: the extended header says it.
        let size = size.min(Ustar::SIZE_MAX);
        self.write(&Ustar { kind: letter, path: &path, target, mode, uid, gid, size }.block())?;
        match entry.kind {
            Kind::Bytes(bytes) => self.write(bytes)?,
            Kind::File(file, size) => self.copy(file, size)?,
            _ => {}
        }
        self.pad();
        Ok(())
    }

    /// Ends the tar; what lies between is a hole, so it is zeros.
    pub(super) fn finish(self) -> Result<(), DeployError> {
        Ok(self.file.set_len(self.at + 2 * Ustar::BLOCK)?)
    }

    fn copy(&mut self, file: &File, size: u64) -> Result<(), DeployError> {
        self.buffer.resize(STEP, 0);
        let mut at = 0;
        while at < size {
            let left = usize::try_from(size - at).unwrap_or(STEP).min(STEP);
            let piece = self.buffer.get_mut(..left).unwrap_or_default();
            file.read_exact_at(at, piece)?;
            self.file.write_all_at(self.at, piece)?;
            at += left as u64;
            self.at += left as u64;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DeployError> {
        self.file.write_all_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    const fn pad(&mut self) {
        self.at = self.at.next_multiple_of(Ustar::BLOCK);
    }
}

/// Adds a record of an extended header: its length, which counts itself, key and value.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend_from_slice(len.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}
