//! The extended attributes of an inode of an image that is read, as stored: the shared ones, then its own.

use super::{
    error::ImageError,
    format::{XATTR_ENTRY_LEN, XATTR_HEADER_LEN, XATTR_WORD},
    image::{Image, u32_at},
    inode::Inode,
    xattr_name::PREFIXES,
};

/// An attribute as stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredXattr<'a> {
    pub(super) prefix: &'static [u8],
    pub(super) suffix: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> StoredXattr<'a> {
    /// For an attribute that overlayfs takes for its own, the part after `trusted.overlay.`.
    pub(super) fn overlay(&self) -> Option<&'a [u8]> {
        match self.prefix {
            b"trusted." => self.suffix.strip_prefix(b"overlay."),
            // Prefixes are not unique in what they can spell.
            b"" => self.suffix.strip_prefix(b"trusted.overlay."),
            _ => None,
        }
    }

    /// Reads one from the front of `bytes`, with its length there, padding included.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (&[name_len, index, low, high], rest) = bytes.split_first_chunk()?;
        let (suffix, rest) = rest.split_at_checked(name_len.into())?;
        let value = rest.get(..u16::from_le_bytes([low, high]).into())?;
        let prefix = PREFIXES.get(usize::from(index))?;
        let len = XATTR_ENTRY_LEN + suffix.len() as u64 + value.len() as u64;
        Some((Self { prefix, suffix, value }, usize::try_from(len.next_multiple_of(XATTR_WORD)).ok()?))
    }
}

/// Calls `visit` with each attribute of an inode.
pub(super) fn visit<'a>(
    image: &Image<'a>,
    inode: &Inode<'a>,
    mut visit: impl FnMut(StoredXattr<'a>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let corrupt = || ImageError::Corrupt { what: "attributes are malformed", at: inode.start };
    let header_len = usize::try_from(XATTR_HEADER_LEN).unwrap_or(usize::MAX);
    let Some((header, rest)) = inode.xattrs.split_at_checked(header_len) else { return Ok(()) };
    let shared_len = header.get(4).copied().map_or(0, usize::from) * 4;
    let (shared, mut own) = rest.split_at_checked(shared_len).ok_or_else(corrupt)?;
    for reference in shared.chunks_exact(4) {
        let at = image.shared_xattrs + u64::from(u32_at(reference, 0)) * XATTR_WORD;
        let bytes = usize::try_from(at).ok().and_then(|at| image.bytes.get(at..)).ok_or_else(corrupt)?;
        visit(StoredXattr::read(bytes).ok_or_else(corrupt)?.0)?;
    }
    while !own.is_empty() {
        let (xattr, len) = StoredXattr::read(own).ok_or_else(corrupt)?;
        visit(xattr)?;
        own = own.get(len..).unwrap_or_default();
    }
    Ok(())
}
