//! Tars that we write: POSIX pax interchange format, in the order of the caller, with times of 1970 and no names of users.
//!
//! What lives here: headers, extended headers where a field is too small, padding. Invariant: the same entries give the same
//! bytes. Source: POSIX.1-2017 pax; `SCHILY.xattr.` as GNU tar and Go write it.

use std::borrow::Cow;

use sealstone_store::disk::File;

use crate::DeployError;

/// The bytes of a block.
const BLOCK: u64 = 512;

/// How much of a file is copied at a time, in bytes.
const STEP: usize = 256 << 10;

/// The largest number of seven octal digits.
const OWNER_MAX: u32 = 0o777_7777;

/// The largest number of eleven octal digits.
const SIZE_MAX: u64 = 0o777_7777_7777;

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
            if value.len() > 100 || !value.is_ascii() {
                record(&mut records, key, value);
            }
        }
        for (key, value, limit) in [("uid", entry.uid, OWNER_MAX), ("gid", entry.gid, OWNER_MAX)] {
            if value > limit {
                record(&mut records, key.as_bytes(), value.to_string().as_bytes());
            }
        }
        if size > SIZE_MAX {
            record(&mut records, b"size", size.to_string().as_bytes());
        }
        for (key, value) in entry.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", &key[..]].concat(), value);
        }
        if !records.is_empty() {
            let plain =
                Entry { path: b"pax", kind: Kind::Bytes(&records), mode: 0o644, uid: 0, gid: 0, xattrs: &[] };
            self.write(&header(&plain, b"pax", b"", b'x', records.len() as u64))?;
            self.write(&records)?;
            self.pad();
        }
        self.write(&header(entry, &path, target, letter, size))?;
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
        Ok(self.file.set_len(self.at + 2 * BLOCK)?)
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
        self.at = self.at.next_multiple_of(BLOCK);
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

/// A ustar header. What its fields cannot hold is cut: an extended header says it.
fn header(entry: &Entry<'_>, path: &[u8], target: &[u8], letter: u8, size: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(512);
    field(&mut block, path, 100);
    field(&mut block, format!("{:07o}", entry.mode).as_bytes(), 8);
    field(&mut block, format!("{:07o}", entry.uid.min(OWNER_MAX)).as_bytes(), 8);
    field(&mut block, format!("{:07o}", entry.gid.min(OWNER_MAX)).as_bytes(), 8);
    field(&mut block, format!("{:011o}", size.min(SIZE_MAX)).as_bytes(), 12);
    field(&mut block, b"00000000000", 12);
    // The checksum counts as blanks.
    field(&mut block, b"        ", 8);
    block.push(letter);
    field(&mut block, target, 100);
    block.extend_from_slice(b"ustar\x0000");
    block.resize(512, 0);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    block
}

fn field(block: &mut Vec<u8>, value: &[u8], len: usize) {
    let end = block.len() + len;
    block.extend_from_slice(value.get(..len.min(value.len())).unwrap_or_default());
    block.resize(end, 0);
}
