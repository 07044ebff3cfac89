//! Numbers of the format, and putting them into bytes.

/// The size of a block, in bytes.
pub(in crate::install) const BLOCK: usize = 4096;

/// The blocks of a group: as many as a block has bits.
pub(super) const GROUP_BLOCKS: u64 = 32768;

/// The size of an inode.
pub(super) const INODE_SIZE: usize = 256;

/// The bytes of an inode's second half that have fields: the rest is for attributes.
pub(super) const EXTRA_SIZE: u16 = 32;

/// The size of a group's descriptor.
pub(super) const DESCRIPTOR: usize = 64;

pub(super) const ROOT_INODE: u32 = 2;
pub(super) const JOURNAL_INODE: u32 = 8;
pub(super) const LOST_AND_FOUND: u32 = 11;
/// The first inode that is anybody's.
pub(super) const FIRST_FREE_INODE: u32 = 12;

/// `EXT4_EXTENTS_FL` and `EXT4_VERITY_FL`.
pub(super) const EXTENTS_FLAG: u32 = 0x8_0000;
pub(super) const VERITY_FLAG: u32 = 0x10_0000;

/// Puts bytes at an offset of a buffer; what does not fit is left out, which no caller does.
pub(super) fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    let place = buffer.get_mut(at..at.saturating_add(bytes.len()));
    debug_assert!(place.is_some(), "{at} + {}", bytes.len());
    if let Some(place) = place {
        place.copy_from_slice(bytes);
    }
}

pub(super) fn put16(buffer: &mut [u8], at: usize, value: u16) {
    put(buffer, at, &value.to_le_bytes());
}

pub(super) fn put32(buffer: &mut [u8], at: usize, value: u32) {
    put(buffer, at, &value.to_le_bytes());
}

/// The lower 16 and the next bits of a number, for fields that are split.
pub(super) const fn low16(value: u64) -> u16 {
    (value & 0xffff) as u16
}

pub(super) const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

pub(super) const fn high32(value: u64) -> u32 {
    low32(value >> 32)
}
