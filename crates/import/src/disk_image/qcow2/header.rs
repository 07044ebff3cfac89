//! [`Header`]: the first bytes of a qcow2 image (QEMU, docs/interop/qcow2.txt).
//!
//! All numbers are big-endian. What a stream cannot give, or what we do not know, is refused here, before any byte is
//! written: files beside this one, encryption, features without which the image cannot be read.

use std::ops::Range;

use crate::error::{ImportError, Result};

/// The longest part of a header that is looked at.
pub(super) const HEADER: usize = 112;

/// The header of version 2.
const HEADER_V2: usize = 72;

/// Entries of the first table that we hold: 8 bytes each in the image, some 32 in memory.
const MOST_L1: u64 = 256 << 10;

const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

// The bits of `incompatible_features`.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// How compressed clusters are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// A deflate stream without header (RFC 1951).
    Deflate,
    /// A zstd frame.
    Zstd,
}

/// What matters of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 2 or 3.
    pub(super) version: u32,
    /// The disk's bytes.
    pub(super) disk_bytes: u64,
    /// The unit of everything.
    pub(super) cluster_bits: u32,
    /// Where the first table is.
    pub(super) l1_offset: u64,
    /// As many of its entries as the disk needs.
    pub(super) l1_entries: u64,
    /// What has nothing of the disk: the table of reference counts.
    pub(super) refcounts: Range<u64>,
    /// How clusters are packed.
    pub(super) packing: Packing,
}

impl Header {
    /// Bytes of a cluster.
    pub(super) const fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of a second table, which is one cluster.
    pub(super) const fn l2_entries(&self) -> u64 {
        self.cluster() / 8
    }

    /// Reads the header; `bytes` are the first [`HEADER`] of the image, or all of it.
    pub(super) fn parse(name: &str, bytes: &[u8], most: u64) -> Result<Self> {
        let fields = Fields { name, bytes };
        let version = fields.u32(4)?;
        if !(2..=3).contains(&version) {
            return Err(fields.unsupported(format!("version {version} of qcow2")));
        }
        if fields.u64(8)? != 0 || fields.u32(16)? != 0 {
            return Err(fields.unsupported("it needs a backing file: flatten it with `qemu-img convert`"));
        }
        if fields.u32(32)? != 0 {
            return Err(fields.unsupported("it is encrypted"));
        }
        let cluster_bits = fields.u32(20)?;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(fields.malformed(format!("clusters of 2^{cluster_bits} bytes")));
        }
        let packing = if version == 3 { fields.features(cluster_bits)? } else { Packing::Deflate };
        let disk_bytes = fields.u64(24)?;
        if disk_bytes > most {
            return Err(ImportError::TooBig { what: format!("{name} (bytes)"), limit: most });
        }
        let cluster = 1_u64 << cluster_bits;
        let l1_entries = disk_bytes.div_ceil(cluster * (cluster / 8));
        if l1_entries > MOST_L1 {
            return Err(ImportError::TooBig {
                what: format!("{name} (entries of its first table)"),
                limit: MOST_L1,
            });
        }
        if u64::from(fields.u32(36)?) < l1_entries {
            return Err(fields.malformed("its first table is too short for its disk"));
        }
        let place = |at: usize, what: &str| {
            let offset = fields.u64(at)?;
            match offset % cluster {
                0 if offset < 1 << 56 => Ok(offset),
                _ => Err(fields.malformed(format!("{what} at {offset}"))),
            }
        };
        let l1_offset = place(40, "its first table")?;
        if l1_offset == 0 && l1_entries > 0 {
            return Err(fields.malformed("it has no first table"));
        }
        let refcount_offset = place(48, "its table of reference counts")?;
        let refcount_bytes = u64::from(fields.u32(56)?) * cluster;
        let refcounts = refcount_offset..refcount_offset + refcount_bytes;
        Ok(Self { version, disk_bytes, cluster_bits, l1_offset, l1_entries, refcounts, packing })
    }
}

/// The numbers of a header.
struct Fields<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Fields<'_> {
    fn u32(&self, at: usize) -> Result<u32> {
        let field = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        field.map(|field| u32::from_be_bytes(*field)).ok_or_else(|| self.malformed("its header is cut off"))
    }

    fn u64(&self, at: usize) -> Result<u64> {
        Ok(u64::from(self.u32(at)?) << 32 | u64::from(self.u32(at + 4)?))
    }

    /// What version 3 adds.
    fn features(&self, cluster_bits: u32) -> Result<Packing> {
        let features = self.u64(HEADER_V2)?;
        if features & CORRUPT != 0 {
            return Err(self.malformed("it is marked as corrupt"));
        }
        if features & DATA_FILE != 0 {
            return Err(self.unsupported("its data are in another file: convert it with `qemu-img convert`"));
        }
        if features & EXTENDED_L2 != 0 {
            return Err(self.unsupported("subclusters (extended_l2)"));
        }
        let unknown = features & !(DIRTY | COMPRESSION_TYPE);
        if unknown != 0 {
            return Err(self.unsupported(format!("it needs features {unknown:#x}, which we do not know")));
        }
        let length = self.u32(100)?;
        if length < 104 || u64::from(length) > 1 << cluster_bits {
            return Err(self.malformed(format!("a header of {length} bytes")));
        }
        // One byte, which is there if the header is long enough.
        let kind = if length > 104 { self.u32(104)? >> 24 } else { 0 };
        match (kind, features & COMPRESSION_TYPE != 0) {
            (0, _) => Ok(Packing::Deflate),
            (1, true) => Ok(Packing::Zstd),
            (1, false) => Err(self.malformed("its compression lacks the feature bit")),
            _ => Err(self.unsupported(format!("compression {kind}"))),
        }
    }

    fn malformed(&self, reason: impl Into<String>) -> ImportError {
        ImportError::malformed(self.name, reason)
    }

    fn unsupported(&self, reason: impl Into<String>) -> ImportError {
        ImportError::unsupported(self.name, reason)
    }
}
