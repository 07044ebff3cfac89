//! One inode of an image that is read: its header, its attributes' bytes, its content.
//!
//! What does not live here: what entries, attributes and contents mean to a tree.

use super::{
    error::ImageError,
    format::{
        BLOCK, CHUNK_BASED, COMPACT_LEN, EXTENDED, EXTENDED_LEN, FLAT_INLINE, FLAT_PLAIN, SLOT,
        XATTR_HEADER_LEN, XATTR_WORD,
    },
    image::{Image, u16_at, u32_at, u64_at},
};
use crate::tree::{FileType, Metadata, Timestamp};

/// Where an inode's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataLayout {
    Plain,
    Inline,
    Chunked,
}

/// A decoded inode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode<'a> {
    /// Where it is in the image, in bytes.
    pub(super) start: u64,
    pub(super) layout: DataLayout,
    pub(super) file_type: FileType,
    /// `i_size`: bytes of content.
    pub(super) size: u64,
    /// `i_u`: the first block of content, or a device number.
    pub(super) address: u32,
    /// The attributes' bytes, header included; empty without attributes.
    pub(super) xattrs: &'a [u8],
    /// Mode, owner and time as stored.
    metadata: Metadata,
    /// Where a tail of content starts: after the attributes.
    tail_start: u64,
}

impl<'a> Inode<'a> {
    pub(super) fn read(image: &Image<'a>, nid: u64) -> Result<Self, ImageError> {
        const WHAT: &str = "an inode is outside of the image";
        let start = nid.checked_mul(SLOT).ok_or(ImageError::Corrupt { what: WHAT, at: u64::MAX })?;
        let corrupt = |what| ImageError::Corrupt { what, at: start };
        let format = u16_at(image.slice(start, COMPACT_LEN, WHAT)?, 0);
        let is_compact = format & EXTENDED == 0;
        let header_len = if is_compact { COMPACT_LEN } else { EXTENDED_LEN };
        let header = image.slice(start, header_len, WHAT)?;
        let layout = match format & !EXTENDED {
            FLAT_PLAIN => DataLayout::Plain,
            FLAT_INLINE => DataLayout::Inline,
            CHUNK_BASED => DataLayout::Chunked,
            _ => return Err(corrupt("an inode has an unknown layout")),
        };
        let mode = u16_at(header, 4);
        let file_type = FileType::from_mode(mode).ok_or_else(|| corrupt("an inode has no file type"))?;
        let xattrs_len = match u64::from(u16_at(header, 2)) {
            0 => 0,
            words => XATTR_HEADER_LEN + (words - 1) * XATTR_WORD,
        };
        let xattrs_start = start + header_len;
        let xattrs = image.slice(xattrs_start, xattrs_len, "attributes are outside of the image")?;
        let metadata = if is_compact {
            let (uid, gid) = (u16_at(header, 24).into(), u16_at(header, 26).into());
            Metadata { mode: mode & 0o7777, uid, gid, mtime: image.build_time }
        } else {
            let mtime = Timestamp { sec: u64_at(header, 32).cast_signed(), nsec: u32_at(header, 40) };
            Metadata { mode: mode & 0o7777, uid: u32_at(header, 24), gid: u32_at(header, 28), mtime }
        };
        let size = if is_compact { u32_at(header, 8).into() } else { u64_at(header, 8) };
        let (address, tail_start) = (u32_at(header, 16), xattrs_start + xattrs_len);
        Ok(Self { start, layout, file_type, size, address, xattrs, metadata, tail_start })
    }

    /// Mode, owner and time.
    pub(super) fn metadata(&self) -> Result<Metadata, ImageError> {
        if self.metadata.mtime.nsec >= 1_000_000_000 {
            return Err(ImageError::Corrupt { what: "a time has too many nanoseconds", at: self.start });
        }
        Ok(self.metadata)
    }

    /// The bytes of the inode itself: header and attributes.
    pub(super) fn len(&self) -> u64 {
        self.tail_start - self.start
    }

    /// The content of a directory, a symlink or an inline file: what is in blocks, and the tail.
    pub(super) fn content(&self, image: &Image<'a>) -> Result<(&'a [u8], &'a [u8]), ImageError> {
        const WHAT: &str = "content is outside of the image";
        let tail = match self.layout {
            DataLayout::Plain => 0,
            DataLayout::Inline => self.size % BLOCK,
            DataLayout::Chunked => {
                return Err(ImageError::Corrupt {
                    what: "a table of chunks where content should be",
                    at: self.start,
                });
            }
        };
        // The kernel reads a tail from one block.
        if self.tail_start % BLOCK + tail > BLOCK {
            return Err(ImageError::Corrupt { what: "a tail crosses blocks", at: self.tail_start });
        }
        let blocks = match self.size - tail {
            0 => &[],
            len => image.slice(u64::from(self.address) * BLOCK, len, WHAT)?,
        };
        Ok((blocks, image.slice(self.tail_start, tail, WHAT)?))
    }
}
