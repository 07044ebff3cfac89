//! An image to be read: checked headers over bytes that may be anything.
//!
//! What lives here: opening, and slices of the image by position. What does not: inodes, directories, attributes, trees.
//! Invariants of the whole reader: no byte makes it panic; work and memory are linear in the image's length, since
//! each part is visited once and parts that overlap are refused.

use super::{
    error::ImageError,
    format::{
        BLOCK, BLOCK_BITS, COMPOSEFS_HEADER_VERSION, COMPOSEFS_MAGIC, FEATURE_CHUNKED, FEATURE_COMPAT_KNOWN,
        INODES_START, SLOT, SUPERBLOCK_MAGIC,
    },
    version::Version,
};
use crate::tree::Timestamp;

/// The layout of an image, from `composefs_version` of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// C `mkcomposefs` by default: as V1, with other marks on directories of whiteouts.
    V0,
    /// What [`write`](super::write()) makes.
    V1,
    /// An older layout of the crate composefs.
    V2,
}

impl Format {
    /// The version in which an image of this format is written again; none of V0.
    #[must_use]
    pub const fn version(self) -> Option<Version> {
        match self {
            Self::V0 => None,
            Self::V1 => Some(Version::V1),
            Self::V2 => Some(Version::V2),
        }
    }
}

/// An EROFS image of composefs.
///
/// ```
/// use sealstone_store::{erofs, tree::{Metadata, Timestamp, Tree}};
///
/// let root = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
/// let bytes = erofs::write(&Tree::new(root))?;
/// let image = erofs::Image::open(&bytes)?;
/// assert_eq!(image.to_tree()?.metadata(image.to_tree()?.root()), root);
/// assert!(image.objects()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub(super) bytes: &'a [u8],
    format: Format,
    pub(super) root_nid: u64,
    pub(super) inode_count: u64,
    /// The mtime of compact inodes.
    pub(super) build_time: Timestamp,
    /// Where references to shared attributes count from.
    pub(super) shared_xattrs: u64,
}

impl<'a> Image<'a> {
    /// An image in these bytes. Only the headers are checked; all else is when it is read.
    ///
    /// # Errors
    /// [`ImageError::Foreign`] for other files, [`ImageError::Unsupported`] for other versions and features,
    /// [`ImageError::Corrupt`] when the bytes end too early.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let header = bytes.first_chunk::<32>().ok_or(ImageError::Foreign("too short"))?;
        if u32_at(header, 0) != COMPOSEFS_MAGIC || u32_at(header, 4) != COMPOSEFS_HEADER_VERSION {
            return Err(ImageError::Foreign("no composefs header"));
        }
        let format = match u32_at(header, 12) {
            0 => Format::V0,
            1 => Format::V1,
            2 => Format::V2,
            other => return Err(ImageError::Unsupported(format!("composefs format version {other}"))),
        };
        let superblock = bytes.get(1024..1152).ok_or(ImageError::Foreign("too short"))?;
        let image = Self {
            bytes,
            format,
            root_nid: u16_at(superblock, 14).into(),
            inode_count: u64_at(superblock, 16),
            build_time: Timestamp { sec: u64_at(superblock, 24).cast_signed(), nsec: u32_at(superblock, 32) },
            shared_xattrs: u64::from(u32_at(superblock, 44)) * BLOCK,
        };
        check_superblock(superblock)?;
        if u64::from(u32_at(superblock, 36)) * BLOCK > bytes.len() as u64 {
            return Err(ImageError::Corrupt {
                what: "the image is shorter than it says",
                at: bytes.len() as u64,
            });
        }
        Ok(image)
    }

    /// The image's layout.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The bytes at a position.
    pub(super) fn slice(&self, start: u64, len: u64, what: &'static str) -> Result<&'a [u8], ImageError> {
        let end = start.checked_add(len).and_then(|end| usize::try_from(end).ok());
        let range = usize::try_from(start).ok().zip(end);
        range
            .and_then(|(start, end)| self.bytes.get(start..end))
            .ok_or(ImageError::Corrupt { what, at: start })
    }

    /// How many slots the image has: all nids are below.
    pub(super) fn slots(&self) -> usize {
        self.bytes.len() / usize::try_from(SLOT).unwrap_or(1)
    }

    /// What may be read of the image before something was read twice.
    pub(super) fn budget(&self) -> Budget {
        Budget { left: self.bytes.len() as u64 }
    }
}

fn check_superblock(superblock: &[u8]) -> Result<(), ImageError> {
    if u32_at(superblock, 0) != SUPERBLOCK_MAGIC {
        return Err(ImageError::Foreign("no EROFS superblock"));
    }
    let unsupported =
        |what: &str, value: u32| Err(ImageError::Unsupported(format!("EROFS with {what} {value:#x}")));
    match u32_at(superblock, 8) & !FEATURE_COMPAT_KNOWN {
        0 => {}
        features => return unsupported("compatible features", features),
    }
    match u32_at(superblock, 80) & !FEATURE_CHUNKED {
        0 => {}
        features => return unsupported("features", features),
    }
    match superblock.get(12).copied().unwrap_or_default().into() {
        BLOCK_BITS => {}
        bits => return unsupported("block bits", bits),
    }
    match u32_at(superblock, 40) {
        0 => {}
        block => return unsupported("inodes at block", block),
    }
    if u64::from(u16_at(superblock, 14)) * SLOT < INODES_START {
        return Err(ImageError::Corrupt { what: "the root is among the headers", at: 1024 + 14 });
    }
    Ok(())
}

/// What is left to read. The parts of an image do not overlap, so all of them together are no more than the image.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) fn spend(&mut self, len: u64, at: u64) -> Result<(), ImageError> {
        self.left = self.left.checked_sub(len).ok_or(ImageError::Corrupt { what: "parts overlap", at })?;
        Ok(())
    }
}

/// Little-endian numbers of a header; the caller has checked its length.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u64::from_le_bytes)
}
