//! What trees keep per inode, and the bytes that are not of one size: names, targets, bodies, attributes, digests.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use sealstone_store::tree::{Metadata, Timestamp};
use sealstone_store::{Algorithm, ObjectId};

use crate::tar::{Reason, Xattrs};

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum InodeKind {
    Directory = 1,
    /// A file whose bytes are in the heap.
    Inline = 2,
    /// A file whose bytes are an object.
    External = 3,
    Symlink = 4,
    CharDevice = 5,
    BlockDevice = 6,
    Fifo = 7,
    /// A file that still lacks its content: in builders only.
    Unresolved = 8,
}

/// An inode: 40 bytes, here and in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) seconds: i64,
    /// Bytes of a file's or a symlink's content.
    pub(super) size: u64,
    pub(super) nanoseconds: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Inline files and symlinks: where the content starts in the heap. External files: the digest's index. Devices:
    /// the number.
    pub(super) data: u32,
    /// Where the attributes start in the heap, plus one; 0 for none.
    pub(super) xattrs: u32,
    pub(super) mode: u16,
    pub(super) kind: InodeKind,
}

impl Inode {
    pub(super) const fn new(kind: InodeKind, metadata: Metadata) -> Self {
        Self {
            seconds: metadata.mtime.sec,
            size: 0,
            nanoseconds: metadata.mtime.nsec,
            uid: metadata.uid,
            gid: metadata.gid,
            data: 0,
            xattrs: 0,
            mode: metadata.mode,
            kind,
        }
    }

    pub(super) const fn metadata(&self) -> Metadata {
        let mtime = Timestamp { sec: self.seconds, nsec: self.nanoseconds };
        Metadata { mode: self.mode, uid: self.uid, gid: self.gid, mtime }
    }
}

/// Bytes and digests that nodes and inodes point to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heap {
    pub(super) bytes: Vec<u8>,
    /// Digests one after another, each of the algorithm's length.
    pub(super) digests: Vec<u8>,
}

impl Heap {
    pub(super) fn get(&self, start: u32, len: usize) -> &[u8] {
        let start = start as usize;
        start.checked_add(len).and_then(|end| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// Bytes kept behind their length in two bytes.
    pub(super) fn get_counted(&self, start: u32) -> &[u8] {
        let len = self.get(start, 2).first_chunk().map_or(0, |len| u16::from_le_bytes(*len));
        start.checked_add(2).map_or(&[], |start| self.get(start, usize::from(len)))
    }

    pub(super) fn object(&self, algorithm: Algorithm, index: u32) -> Option<ObjectId> {
        let len = algorithm.digest_len();
        let start = (index as usize).checked_mul(len)?;
        ObjectId::from_digest(algorithm, self.digests.get(start..start.checked_add(len)?)?).ok()
    }

    /// Keeps bytes; they start at the offset returned.
    pub(super) fn keep(&mut self, bytes: &[u8], limit: usize) -> Result<u32, Reason> {
        let too_big =
            || Reason::TooBig { what: "bytes of names, targets and attributes", limit: limit as u64 };
        let start = u32::try_from(self.bytes.len()).ok();
        let start = start.filter(|_| bytes.len() <= limit.saturating_sub(self.bytes.len()));
        let start = start.ok_or_else(too_big)?;
        self.bytes.extend_from_slice(bytes);
        Ok(start)
    }

    /// Keeps bytes behind their length.
    pub(super) fn keep_counted(&mut self, bytes: &[u8], limit: usize) -> Result<u32, Reason> {
        let len = u16::try_from(bytes.len());
        let len = len.map_err(|_| Reason::TooBig { what: "bytes in a path", limit: u64::from(u16::MAX) })?;
        let start = self.keep(&len.to_le_bytes(), limit)?;
        self.keep(bytes, limit)?;
        Ok(start)
    }
}

/// Finds attributes that the heap has already, so that a label on every file is kept once.
#[derive(Debug, Default)]
pub(super) struct XattrIndex {
    hasher: RandomState,
    /// From the encoding's hash to its offset. Of two with one hash only the first is found again.
    offsets: HashMap<u64, u32>,
    scratch: Vec<u8>,
}

impl XattrIndex {
    /// Keeps attributes: their count in two bytes, then for each the length of its name in one byte, that of its value
    /// in four, the name, the value.
    ///
    /// Returns the offset plus one, 0 for none.
    pub(super) fn keep(&mut self, xattrs: &Xattrs, heap: &mut Heap, limit: usize) -> Result<u32, Reason> {
        if xattrs.is_empty() {
            return Ok(0);
        }
        encode_xattrs(xattrs, &mut self.scratch)?;
        let hash = self.hasher.hash_one(&self.scratch);
        if let Some(offset) = self.offsets.get(&hash)
            && heap.get(*offset, self.scratch.len()) == self.scratch
        {
            return Ok(offset + 1);
        }
        let offset = heap.keep(&self.scratch, limit)?;
        self.offsets.entry(hash).or_insert(offset);
        Ok(offset + 1)
    }

    /// Whether these are the attributes kept there.
    pub(super) fn is_same(&mut self, xattrs: &Xattrs, heap: &Heap, kept: u32) -> bool {
        match kept.checked_sub(1) {
            None => xattrs.is_empty(),
            Some(offset) => {
                encode_xattrs(xattrs, &mut self.scratch).is_ok()
                    && heap.get(offset, self.scratch.len()) == self.scratch
            }
        }
    }
}

fn encode_xattrs(xattrs: &Xattrs, out: &mut Vec<u8>) -> Result<(), Reason> {
    let too_big = |_| Reason::TooBig { what: "extended attributes", limit: u64::from(u16::MAX) };
    out.clear();
    out.extend_from_slice(&u16::try_from(xattrs.len()).map_err(too_big)?.to_le_bytes());
    for (name, value) in xattrs.iter() {
        out.push(u8::try_from(name.len()).map_err(too_big)?);
        out.extend_from_slice(&u32::try_from(value.len()).map_err(too_big)?.to_le_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(value);
    }
    Ok(())
}

/// Names and values of attributes as [`XattrIndex::keep`] lays them out.
#[derive(Clone, Debug)]
pub(super) struct EncodedXattrs<'a> {
    rest: &'a [u8],
    count: u16,
}

impl<'a> EncodedXattrs<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        match bytes.split_first_chunk::<2>() {
            Some((count, rest)) => Self { rest, count: u16::from_le_bytes(*count) },
            None => Self { rest: &[], count: 0 },
        }
    }

    /// What is left after those that were read; `None` when not all could be.
    pub(super) fn rest(&self) -> Option<&'a [u8]> {
        (self.count == 0).then_some(self.rest)
    }
}

impl<'a> Iterator for EncodedXattrs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.count.checked_sub(1)?;
        let ([name_len, a, b, c, d], rest) = self.rest.split_first_chunk::<5>()?;
        let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
        let value_len = u32::from_le_bytes([*a, *b, *c, *d]);
        let (value, rest) = rest.split_at_checked(value_len as usize)?;
        (self.rest, self.count) = (rest, left);
        Some((name, value))
    }
}
