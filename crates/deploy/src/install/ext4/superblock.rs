//! The superblock and the table of groups, with their copies.

use super::{
    checksum::Crc,
    format::{
        BLOCK, DESCRIPTOR, EXTRA_SIZE, GROUP_BLOCKS, INODE_SIZE, JOURNAL_INODE, high32, low16, low32, put,
        put16, put32,
    },
    geometry::Geometry,
};

/// `has_journal`, `ext_attr`, `dir_index`.
const COMPATIBLE: u32 = 0x4 | 0x8 | 0x20;
/// `filetype`, `extent`, `64bit`.
const INCOMPATIBLE: u32 = 0x2 | 0x40 | 0x80;
/// `sparse_super`, `large_file`, `huge_file`, `dir_nlink`, `extra_isize`, `metadata_csum`, `verity`.
const READ_ONLY: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400 | 0x8000;

/// `user_xattr` and `acl`, as mke2fs sets them.
const MOUNT_OPTIONS: u32 = 0xc;

/// `EXT4_BG_INODE_ZEROED`: the tables are zeros where no inode is.
const INODES_ZEROED: u16 = 4;

/// What a superblock says that the geometry does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) uuid: &'a [u8; 16],
    pub(super) hash_seed: &'a [u8; 16],
    /// At most 16 bytes.
    pub(super) label: &'a str,
    /// Seconds since 1970.
    pub(super) time: i64,
}

/// What is left of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupUse {
    pub(super) free_blocks: u64,
    pub(super) free_inodes: u32,
    pub(super) folders: u32,
    /// The inodes behind the last that is used.
    pub(super) unused_inodes: u32,
    pub(super) block_bitmap: Crc,
    pub(super) inode_bitmap: Crc,
}

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}

/// The superblock, 1,024 bytes, as the copy in a group says it.
pub(super) fn encode(
    geometry: &Geometry,
    identity: Identity<'_>,
    groups: &[GroupUse],
    journal: &[u8; 68],
    group: u64,
) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    let free_blocks: u64 = groups.iter().map(|group| group.free_blocks).sum();
    let free_inodes: u64 = groups.iter().map(|group| u64::from(group.free_inodes)).sum();
    let time = low32(identity.time.cast_unsigned());
    let per_group = low32(GROUP_BLOCKS);
    let fields = [
        (0x00, low32(geometry.inodes())),
        (0x04, low32(geometry.blocks)),
        (0x0c, low32(free_blocks)),
        (0x10, low32(free_inodes)),
        (0x18, 2),
        (0x1c, 2),
        (0x20, per_group),
        (0x24, per_group),
        (0x28, geometry.inodes_per_group),
        (0x30, time),
        (0x40, time),
        (0x4c, 1),
        (0x54, 11),
        (0x5c, COMPATIBLE),
        (0x60, INCOMPATIBLE),
        (0x64, READ_ONLY),
        (0xe0, JOURNAL_INODE),
        (0x100, MOUNT_OPTIONS),
        (0x108, time),
        (0x150, high32(geometry.blocks)),
        (0x158, high32(free_blocks)),
        // Hashes of names count bytes as signed.
        (0x160, 1),
    ];
    for (at, value) in fields {
        put32(&mut bytes, at, value);
    }
    let short = [
        // Never checked for the number of mounts.
        (0x36, 0xffff),
        (0x38, 0xef53),
        // Clean; go on after errors.
        (0x3a, 1),
        (0x3c, 1),
        (0x58, low16(INODE_SIZE as u64)),
        (0x5a, low16(group)),
        (0xfe, low16(DESCRIPTOR as u64)),
        (0x15c, EXTRA_SIZE),
        (0x15e, EXTRA_SIZE),
    ];
    for (at, value) in short {
        put16(&mut bytes, at, value);
    }
    put(&mut bytes, 0x68, identity.uuid);
    let label = identity.label.as_bytes();
    put(&mut bytes, 0x78, label.get(..label.len().min(16)).unwrap_or_default());
    put(&mut bytes, 0xec, identity.hash_seed);
    // Half MD4; the journal's place is noted; checksums are CRC-32C.
    put(&mut bytes, 0xfc, &[1, 1]);
    put(&mut bytes, 0x10c, journal);
    put(&mut bytes, 0x175, &[1]);
    let crc = Crc::new().with(bytes.get(..1020).unwrap_or_default());
    put32(&mut bytes, 1020, crc.value());
    bytes
}

/// The table of groups, in whole blocks.
pub(super) fn groups(geometry: &Geometry, uses: &[GroupUse], seed: Crc) -> Vec<u8> {
    let mut table = Vec::new();
    for (number, used) in uses.iter().enumerate() {
        table.extend(descriptor(geometry, number as u64, *used, seed));
    }
    table.resize(table.len().next_multiple_of(BLOCK), 0);
    table
}

fn descriptor(geometry: &Geometry, number: u64, used: GroupUse, seed: Crc) -> [u8; DESCRIPTOR] {
    let mut bytes = [0; DESCRIPTOR];
    let places = [geometry.block_bitmap(number), geometry.inode_bitmap(number), geometry.inode_table(number)];
    for (index, place) in places.into_iter().enumerate() {
        put32(&mut bytes, 4 * index, low32(place));
        put32(&mut bytes, 0x20 + 4 * index, high32(place));
    }
    let counts = [used.free_blocks, used.free_inodes.into(), used.folders.into()];
    for (index, count) in counts.into_iter().enumerate() {
        put16(&mut bytes, 0x0c + 2 * index, low16(count));
        put16(&mut bytes, 0x2c + 2 * index, low16(count >> 16));
    }
    put16(&mut bytes, 0x12, INODES_ZEROED);
    for (at, crc) in [(0x18, used.block_bitmap), (0x1a, used.inode_bitmap)] {
        put16(&mut bytes, at, low16(crc.value().into()));
        put16(&mut bytes, at + 0x20, low16(u64::from(crc.value()) >> 16));
    }
    put16(&mut bytes, 0x1c, low16(used.unused_inodes.into()));
    put16(&mut bytes, 0x32, low16(u64::from(used.unused_inodes) >> 16));
    let crc = seed.with(&low32(number).to_le_bytes()).with(&bytes);
    put16(&mut bytes, 0x1e, low16(crc.value().into()));
    bytes
}
