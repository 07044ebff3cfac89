//! An inode as 256 bytes.

use sealstone_store::disk::Timestamp;

use super::{
    checksum::Crc,
    format::{EXTRA_SIZE, INODE_SIZE, high32, low16, low32, put, put16, put32},
};

/// All that an inode says.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    /// Type and permissions.
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u16,
    /// In bytes.
    pub(super) size: u64,
    /// All blocks that it has, those below the inode too.
    pub(super) blocks: u64,
    pub(super) flags: u32,
    pub(super) mtime: Timestamp,
    /// When the file system was made.
    pub(super) ctime: Timestamp,
    pub(super) xattr_block: u64,
    /// The extents, a symlink's text or a device's number.
    pub(super) body: [u8; 60],
    pub(super) xattrs: Vec<u8>,
}

/// What the checksums of an inode's blocks begin with.
pub(super) fn crc_of(seed: Crc, number: u32) -> Crc {
    // The generation is 0.
    seed.with(&number.to_le_bytes()).with(&[0; 4])
}

impl Inode {
    pub(super) fn encode(&self, number: u32, seed: Crc) -> [u8; INODE_SIZE] {
        let mut bytes = [0; INODE_SIZE];
        let sectors = self.blocks * 8;
        put16(&mut bytes, 0, self.mode);
        put16(&mut bytes, 2, low16(self.uid.into()));
        put32(&mut bytes, 4, low32(self.size));
        for (at, extra, time) in
            [(8, 140, self.mtime), (12, 132, self.ctime), (16, 136, self.mtime), (144, 148, self.ctime)]
        {
            put32(&mut bytes, at, low32(time.sec.cast_unsigned()));
            put32(&mut bytes, extra, extra_time(time));
        }
        put16(&mut bytes, 24, low16(self.gid.into()));
        put16(&mut bytes, 26, self.links);
        put32(&mut bytes, 28, low32(sectors));
        put32(&mut bytes, 32, self.flags);
        put(&mut bytes, 40, &self.body);
        put32(&mut bytes, 104, low32(self.xattr_block));
        put32(&mut bytes, 108, high32(self.size));
        put16(&mut bytes, 116, low16(sectors >> 32));
        put16(&mut bytes, 118, low16(self.xattr_block >> 32));
        put16(&mut bytes, 120, low16(u64::from(self.uid) >> 16));
        put16(&mut bytes, 122, low16(u64::from(self.gid) >> 16));
        put16(&mut bytes, 128, EXTRA_SIZE);
        put(&mut bytes, 128 + usize::from(EXTRA_SIZE), &self.xattrs);
        let crc = u64::from(crc_of(seed, number).with(&bytes).value());
        put16(&mut bytes, 124, low16(crc));
        put16(&mut bytes, 130, low16(crc >> 16));
        bytes
    }
}

/// Nanoseconds, and the bits of the seconds above the 32nd.
fn extra_time(time: Timestamp) -> u32 {
    let low = i64::from(low32(time.sec.cast_unsigned()).cast_signed());
    let epoch = low32(((time.sec - low) >> 32).cast_unsigned()) & 3;
    (time.nsec << 2) | epoch
}
