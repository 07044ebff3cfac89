//! Partition tables as bytes: GPT by the UEFI specification (section 5.3), for sectors of 512 and of 4,096 bytes.
//!
//! What lives here: making one ([`Gpt`]), what one says for people ([`PartitionTable`]), and what has to change in one that is
//! read when its disk is larger or gets one more partition. What does not: reading a GPT's bytes (the boot crate's `gpt.rs`,
//! the one reader that there is), which partitions there are (`layout.rs`), the disk. Why not
//! a crate: those that there are want the whole disk as a file of theirs and write it themselves, where the order of writing
//! is ours to keep. Invariant: checksums are held against the bytes that are read, and computed again over what is changed.

mod bytes;
mod edit;
mod mbr;
mod table;
#[cfg(test)]
mod tests;

use super::ids::Uuid;
use bytes::seal;
use sealstone_boot::GptPartition;
pub use table::{PartitionTable, TablePartition};

/// What every header begins with.
const SIGNATURE: [u8; 8] = *b"EFI PART";

/// The sizes of sectors that tables are made for.
const SECTORS: [u32; 2] = [512, 4096];

/// The entries of a table that is made, and the bytes of each, as everybody has them.
const ENTRIES: u32 = 128;
const ENTRY_BYTES: u32 = 128;
const ENTRY: usize = ENTRY_BYTES as usize;

/// The bytes of a header that its checksum covers.
const HEADER: u32 = 92;

/// A partition. Sectors are counted from 0, the last is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What it is for: the discoverable types of systemd.
    pub kind: Uuid,
    /// Its own id.
    pub id: Uuid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// The attribute bits.
    pub attributes: u64,
    /// At most 36 letters.
    pub name: String,
}

impl Partition {
    /// Its entry.
    fn encode(&self) -> [u8; ENTRY] {
        let numbers = [self.first, self.last, self.attributes];
        let fields = [self.kind.to_guid(), self.id.to_guid()].into_iter().flatten();
        let fields = fields.chain(numbers.into_iter().flat_map(u64::to_le_bytes));
        let fields = fields.chain(self.name.encode_utf16().take(36).flat_map(u16::to_le_bytes));
        let mut entry = [0; ENTRY];
        entry.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        entry
    }

    /// What an entry says; nothing, if it is free.
    fn decode(entry: &[u8]) -> Option<Self> {
        GptPartition::decode(entry).map(Self::from)
    }
}

impl From<GptPartition> for Partition {
    fn from(found: GptPartition) -> Self {
        let GptPartition { kind, id, first, last, attributes, name } = found;
        Self { kind: Uuid::from_guid(kind), id: Uuid::from_guid(id), first, last, attributes, name }
    }
}

/// A disk's partition table, to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// The disk's own id.
    pub id: Uuid,
    /// The size of a sector in bytes: 512 or 4,096.
    pub sector: u32,
    /// The sectors of the disk.
    pub sectors: u64,
    /// The partitions, at most 128.
    pub partitions: Vec<Partition>,
}

impl Gpt {
    /// The sectors of a table.
    fn table_sectors(&self) -> u64 {
        u64::from(ENTRIES * ENTRY_BYTES).div_ceil(self.sector.into())
    }

    /// The first sector that a partition may have.
    #[must_use]
    pub fn first_usable(&self) -> u64 {
        2 + self.table_sectors()
    }

    /// The last sector that a partition may have.
    #[must_use]
    pub fn last_usable(&self) -> u64 {
        self.sectors.saturating_sub(2 + self.table_sectors())
    }

    /// What to write where, in bytes from the disk's beginning: the copy at the end, then the table at the beginning with the
    /// headers, which make it count.
    #[must_use]
    pub fn encode(&self) -> [(u64, Vec<u8>); 2] {
        let (sector, table) = (u64::from(self.sector), self.table());
        let last = self.sectors.saturating_sub(1);
        let copy_at = last.saturating_sub(self.table_sectors());
        let mut copy = table.clone();
        copy.extend(self.header(&table, (last, 1), copy_at));
        let mut head = mbr::protective(self.sector, self.sectors);
        head.extend(self.header(&table, (1, last), 2));
        head.extend(table);
        [(copy_at * sector, copy), (0, head)]
    }

    /// The entries. Their bytes are whole sectors of either size.
    fn table(&self) -> Vec<u8> {
        let used = self.partitions.iter().take(ENTRIES as usize);
        let mut table: Vec<u8> = used.flat_map(Partition::encode).collect();
        table.resize(ENTRIES as usize * ENTRY, 0);
        table
    }

    fn header(&self, table: &[u8], (own, other): (u64, u64), table_at: u64) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        // Revision 1.0.
        header.extend([0, 0, 1, 0]);
        header.extend(HEADER.to_le_bytes());
        header.extend([0; 8]);
        for number in [own, other, self.first_usable(), self.last_usable()] {
            header.extend(number.to_le_bytes());
        }
        header.extend(self.id.to_guid());
        header.extend(table_at.to_le_bytes());
        for number in [ENTRIES, ENTRY_BYTES, crc32fast::hash(table)] {
            header.extend(number.to_le_bytes());
        }
        seal(&mut header);
        header.resize(self.sector as usize, 0);
        header
    }
}
